"""Services as containers of one Docker engine.

Per layer an internal network: it has no way out, and a service joins its own layer's and those of
the services that it connects to. `access` publishes ports on 127.0.0.1 and lets nothing out and no
two containers meet; `outside` is for the few that reach hosts elsewhere.

Files of a service, secrets among them, are uploads into its volume, mode 0400, owned by its user:
that works with an engine on another machine too, where a bind mount would need the secrets on its
disk first. Their content is a secret of the state like any other. The engine copies no files into
a container whose root is read-only, so a second container, which is never started, takes them.

Certificates are in volumes of their own, which services mount read-only: what reads its files
anew keeps running when they are renewed, and no copy of a service's data has its key.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker

from components.options import child_of
from components.runtime import service as described
from components.runtime.catalog import LAYERS, place
from components.runtime.containers import (
    CA_FILE,
    LOOPBACK,
    ROOT,
    SHELL,
    TRUSTSTORE_FILE,
    Containers,
    Part,
    in_order,
    starting,
)
from components.runtime.service import (
    HTTP,
    PROJECT,
    SCHEMES,
    TLS_SCHEMES,
    Address,
    Authority,
    Certificate,
    Endpoint,
    RunningService,
    Service,
)
from dynamic_providers.local.resources import IssuedCertificate
from services.images import Images
from services.postgresql.config import SUPERUSER
from tls.authority import SERVICES, fingerprint, load
from tls.truststore import truststore

ACCESS = "access"
OUTSIDE = "outside"
AUTHORITY = "authority"
FILE_MODE = "0400"
PUBLIC_FILE_MODE = "0444"
# Other files are another container that holds them: its id on a container makes another one.
FILES_LABEL = "dataflow.files"
CERTIFICATE_LABEL = "dataflow.certificate"
AUTHORITY_LABEL = "dataflow.authority"
# Of the project's image: empty folders with config/ and data/, one per user. A new volume takes
# owner and mode of the folder that it is first mounted on.
EMPTY = ROOT / "empty"
TMPFS = {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"}  # noqa: S108 - a container's own
# Each start of a probe costs the engine more than the question itself. So one asks until there is
# an answer, every second, and says so at once; the next ones hold a while before they ask. The
# interval alone could not: old engines have no other one for the start.
PROBE = """\
answered=${TMPDIR:-/tmp}/answered
if test -e $answered
then sleep 15; "$@" && exit; rm $answered; exit 1
fi
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
do "$@" && { : > $answered; exit; }; sleep 1
done
exit 1
"""
PROBE_INTERVAL = "1s"
PROBE_TIMEOUT = "30s"
PROBE_RETRIES = 3  # about a minute without an answer: unhealthy
SLOWER = 3  # services give the time of a process that no limit of cores holds back
MAX_FILES = 65_536  # Elasticsearch refuses to start with fewer
MAX_PROCESSES = 4096
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


class DockerRuntime(Containers, pulumi.ComponentResource):
    """The networks of a stack, and the services and jobs that it is asked for.

    stack: part of every name on the engine. port_offset: added to every published port.
    keep_data: destroy leaves the volumes.
    ca_file: where the machine that runs Pulumi gets the authority's certificate.
    """

    administrator = SUPERUSER
    clustered = False

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        images: Images,
        port_offset: int,
        keep_data: bool,
        ca_file: Path,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        Containers.__init__(self, images, ca_file)
        pulumi.ComponentResource.__init__(self, "dataflow:runtime:DockerRuntime", name, None, opts)
        self._name = name
        self._stack = stack
        self._port_offset = port_offset
        self._keep_data = keep_data
        self._started: set[str] = set()
        self._pulled: dict[str, docker.RemoteImage] = {}
        self._networks = {layer: self._network(layer, internal=True) for layer in LAYERS}
        self._networks[ACCESS] = self._network(
            ACCESS,
            options={
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.enable_ip_masquerade": "false",
            },
        )
        self._networks[OUTSIDE] = self._network(
            OUTSIDE, options={"com.docker.network.bridge.enable_icc": "false"}
        )
        self.register_outputs({"stack": stack})

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        super().trust(authority, parent=parent)
        user = self.images.of(PROJECT).user
        self._authority_files = self._filled(
            AUTHORITY,
            parent,
            target=CA_FILE.parent,
            user=user,
            uploads=[
                _upload(CA_FILE, user, PUBLIC_FILE_MODE, content=authority.trusted),
                _upload(
                    TRUSTSTORE_FILE,
                    user,
                    PUBLIC_FILE_MODE,
                    content_base64=authority.trusted.apply(
                        lambda pem: b64encode(truststore(pem)).decode()
                    ),
                ),
            ],
        )

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        return (service,)

    def endpoint(self, service: str, port: str) -> Endpoint:
        number = self.ports(service)[port]
        scheme = SCHEMES.get(port, HTTP)
        if self.authority:
            scheme = TLS_SCHEMES.get(scheme, scheme)
        published = Address(host=LOOPBACK, port=number + self._port_offset, scheme=scheme)
        return Endpoint(
            host=_host(service),
            port=number,
            scheme=scheme,
            published=published,
            ca_file=CA_FILE if self.authority else None,
            truststore_file=TRUSTSTORE_FILE if self.authority else None,
            published_ca_file=self.published_ca_file,
        )

    def service(
        self,
        service: Service,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        last = in_order(self, service, parent, depends_on, self._service)
        endpoints = {label: self.endpoint(service.name, label) for label in service.ports}
        return RunningService(resource=last, endpoints=endpoints)

    def _service(
        self, service: Service, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        component = Part(f"{service.name}-service", "dataflow:runtime:Service", parent)
        entry, command = starting(service)
        labels: dict[str, pulumi.Input[str]] = dict(service.audit.notes() if service.audit else {})
        needs = list(depends_on)
        certificate = service.certificate if self.authority else None
        if self.authority and certificate:
            files = self._certified(service, certificate, self.authority, component)
            needs.append(files)
            # No signal reaches a program in a container: what waits for one starts anew, too.
            if certificate.restarts or certificate.reload_signal:
                labels[CERTIFICATE_LABEL] = files.id
        docker.Container(
            f"{service.name}-container",
            **self._common(service, component, entry, command, labels, certificate),
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", SHELL[0], "-c", PROBE, "probe", *self.probe_command(service)],
                interval=PROBE_INTERVAL,
                timeout=PROBE_TIMEOUT,
                retries=PROBE_RETRIES,
                start_period=f"{_timeout(service)}s",
            ),
            ports=[
                docker.ContainerPortArgs(
                    internal=number, external=number + self._port_offset, ip=LOOPBACK
                )
                for number in sorted(place(service.name).published.values())
            ],
            restart="unless-stopped",
            wait=True,
            wait_timeout=SLOWER * _timeout(service),
            stop_signal=f"SIG{service.stop_signal}",
            stop_timeout=service.stop_timeout_s,
            destroy_grace_seconds=service.stop_timeout_s,
            opts=child_of(component, depends_on=needs),
        )
        component.register_outputs({"name": service.name})
        return component

    def job(
        self,
        job: described.Job,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        component = Part(f"{job.name}-job", "dataflow:runtime:Job", parent)
        container = docker.Container(
            f"{job.name}-run",
            # A change of what it reads makes a new container, and so another run.
            **self._common(
                job,
                component,
                [job.command[0]],
                list(job.command[1:]),
                {f"dataflow.trigger.{key}": job.triggers[key] for key in sorted(job.triggers)},
            ),
            attach=True,  # until it ends
            logs=True,
            must_run=False,
            restart="no",
            opts=pulumi.ResourceOptions.merge(
                child_of(component, depends_on=depends_on),
                pulumi.ResourceOptions(
                    custom_timeouts=pulumi.CustomTimeouts(create=f"{job.timeout_s}s")
                ),
            ),
        )
        # The provider takes any end for a success: what depends on the job depends on this.
        named = self._named(job.name)
        exit_status = container.exit_code.apply(lambda code: _succeeded(job.name, named, code))
        done = pulumi.Stash(f"{job.name}-done", input=exit_status, opts=child_of(component))
        component.register_outputs({"name": job.name})
        return done

    def _network(
        self, layer: str, *, internal: bool = False, options: Mapping[str, str] | None = None
    ) -> docker.Network:
        return docker.Network(
            f"{self._name}-network-{layer}",
            name=self._named(layer),
            driver="bridge",
            internal=internal,
            options=options,
            opts=child_of(self),
        )

    def _named(self, part: str) -> str:
        return f"dataflow-{self._stack}-{part}"

    def _image(self, program: str) -> docker.RemoteImage:
        if program not in self._pulled:
            self._pulled[program] = docker.RemoteImage(
                f"{self._name}-image-{program}",
                name=self.images.reference(program),
                keep_locally=True,  # another stack may use it, and pulling it again takes minutes
                opts=child_of(self),
            )
        return self._pulled[program]

    def _common(
        self,
        program: Service | described.Job,
        component: pulumi.Resource,
        entry: Sequence[str],
        command: Sequence[str],
        labels: described.Texts,
        certificate: Certificate | None = None,
    ) -> dict[str, Any]:
        if program.name in self._started:
            raise ValueError(f"service or job {program.name!r}: the name is used twice")
        self._started.add(program.name)
        image = self.images.of(program.program)
        folder = ROOT / program.name
        memory = program.size.memory_mib
        files = self._files(program, component, image.user)
        mounts = [_mount(self._named(program.name), folder)]
        labels = {FILES_LABEL: files.id, **labels}
        if self.authority:
            mounts.append(_mount(self._named(AUTHORITY), CA_FILE.parent, read_only=True))
            labels[AUTHORITY_LABEL] = self._authority_files.id
        if tls := certificate and self.certificate_files(program.name, certificate):
            volume = self._named(_certificate_of(program.name))
            mounts.append(_mount(volume, tls.certificate.parent, read_only=True))
        return {
            "name": self._named(program.name),
            "hostname": program.name,
            "image": self._image(image.program).image_id,
            "entrypoints": list(entry),
            "command": list(command),
            "envs": [
                pulumi.Output.concat(name, "=", value) for name, value in self.environment(program)
            ],
            "user": f"{image.user}:{image.user}",
            "working_dir": str(folder / "data"),
            "mounts": mounts,
            "labels": [
                docker.ContainerLabelArgs(label=key, value=value) for key, value in labels.items()
            ],
            "networks_advanced": self._attachments(program),
            "network_mode": "bridge",
            "read_only": True,
            "tmpfs": TMPFS,
            "capabilities": docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            "security_opts": ["no-new-privileges:true"],
            "privileged": False,
            "cpus": f"{program.size.cores:g}",
            "memory": memory,
            "memory_swap": memory,  # memory and swap together: no swap
            "ulimits": [
                docker.ContainerUlimitArgs(name="nofile", soft=MAX_FILES, hard=MAX_FILES),
                docker.ContainerUlimitArgs(name="nproc", soft=MAX_PROCESSES, hard=MAX_PROCESSES),
            ],
            "log_driver": "json-file",
            "log_opts": LOG_OPTIONS,
        }

    def _files(
        self, program: Service | described.Job, component: pulumi.Resource, user: int
    ) -> docker.Container:
        """Puts the files of a service into its volume, below config/."""
        folder = EMPTY / str(user)
        texts = {
            **program.files,
            **{k: pulumi.Output.secret(v) for k, v in program.secret_files.items()},
        }
        return self._filled(
            program.name,
            component,
            target=folder,
            user=user,
            keep=self._keep_data,
            uploads=[
                _upload(folder / "config" / path, user, content=texts[path])
                for path in sorted(texts)
            ],
        )

    def _certified(
        self,
        service: Service,
        certificate: Certificate,
        authority: Authority,
        component: pulumi.Resource,
    ) -> docker.Container:
        """Puts the certificate of a service into a volume for it."""
        keystore = certificate.keystore
        issued = IssuedCertificate(
            f"{service.name}-certificate",
            name=service.name,
            authority=authority.certificate.apply(lambda pem: fingerprint(load(pem))),
            hosts=[_host(service.name), "localhost", LOOPBACK],
            keystore_password=keystore.password if keystore else "",
            opts=child_of(component),
        )
        files = certificate.files(self.directory(service.name))
        user = self.images.of(service.program).user
        uploads = [
            _upload(files.ca, user, content=authority.certificate),
            _upload(files.key, user, content=issued.key),
            _upload(files.certificate, user, content=issued.certificate),
        ]
        if keystore:
            file = files.certificate.with_name(keystore.name)
            uploads.append(_upload(file, user, content_base64=issued.keystore))
        return self._filled(
            _certificate_of(service.name),
            component,
            target=files.certificate.parent,
            user=user,
            uploads=uploads,
        )

    def _filled(
        self,
        name: str,
        parent: pulumi.Resource,
        *,
        target: Path,
        user: int,
        uploads: Sequence[docker.ContainerUploadArgs],
        keep: bool = False,
    ) -> docker.Container:
        """Puts files into a volume, as which `target` is mounted. Never started."""
        volume = docker.Volume(
            f"{name}-volume", name=self._named(name), opts=child_of(parent, keep=keep)
        )
        return docker.Container(
            f"{name}-files",
            name=self._named(f"{name}-files"),
            image=self._image(PROJECT).image_id,
            entrypoints=["/bin/true"],
            user=f"{user}:{user}",
            mounts=[_mount(volume.name, target)],
            uploads=uploads,
            start=False,
            must_run=False,
            restart="no",
            network_mode="none",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=32,
            memory_swap=32,
            cpus="0.1",
            opts=child_of(parent),
        )

    def _attachments(
        self, program: Service | described.Job
    ) -> list[docker.ContainerNetworksAdvancedArgs]:
        layers = {place(program.name).layer, *(place(to).layer for to in program.connects_to)}
        attachments = [
            docker.ContainerNetworksAdvancedArgs(
                name=self._networks[layer].name, aliases=[_host(program.name)]
            )
            for layer in sorted(layers)
        ]
        for network, wanted in (
            (ACCESS, isinstance(program, Service) and bool(place(program.name).published)),
            (OUTSIDE, program.reaches_outside),
        ):
            if wanted:
                attachments.append(
                    docker.ContainerNetworksAdvancedArgs(name=self._networks[network].name)
                )
        return attachments


def _host(name: str) -> str:
    """The name of a service on its networks: one that the authority can certify."""
    return name if name in SERVICES or not place(name).ports else f"{name}.svc"


def _certificate_of(service: str) -> str:
    return f"{service}-tls"


def _mount(
    volume: pulumi.Input[str], target: Path, *, read_only: bool = False
) -> docker.ContainerMountArgs:
    return docker.ContainerMountArgs(
        type="volume", source=volume, target=str(target), read_only=read_only
    )


def _upload(
    file: Path,
    user: int,
    mode: str = FILE_MODE,
    *,
    content: pulumi.Input[str] | None = None,
    content_base64: pulumi.Input[str] | None = None,
) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(
        file=str(file),
        owner=str(user),
        group=str(user),
        permissions=mode,
        content=content,
        content_base64=content_base64,
    )


def _timeout(service: Service) -> int:
    return service.readiness.timeout_s if service.readiness else 60


def _succeeded(job: str, container: str, code: int) -> int:
    if code != 0:
        raise pulumi.RunError(f"job {job!r}: exit status {code}: see docker logs {container}")
    return code
