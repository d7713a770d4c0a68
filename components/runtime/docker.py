"""Services as containers of one Docker engine.

Per layer an internal network: it has no way out, and a service joins its own layer's and those of
the services that it connects to. `access` publishes ports on 127.0.0.1 and lets nothing out and no
two containers meet; `outside` is for the few that reach hosts elsewhere.

Files of a service, secrets among them, are uploads into its volume, mode 0400, owned by its user:
that works with an engine on another machine too, where a bind mount would need the secrets on its
disk first. Their content is a secret of the state like any other. The engine copies no files into
a container whose root is read-only, so a second container, which is never started, takes them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker as docker

from components.options import child_of
from components.runtime import service as described
from components.runtime.catalog import LAYERS, place
from components.runtime.containers import (
    LOOPBACK,
    ROOT,
    Containers,
    Part,
    starting,
)
from components.runtime.service import (
    HTTP,
    PROJECT,
    SCHEMES,
    Address,
    Endpoint,
    RunningService,
    Service,
)
from services.images import Images
from services.postgresql.config import SUPERUSER

ACCESS = "access"
OUTSIDE = "outside"
FILE_MODE = "0400"
FILES_LABEL = "dataflow.files"
# Of the project's image: empty folders with config/ and data/, one per user. A new volume takes
# owner and mode of the folder that it is first mounted on.
EMPTY = ROOT / "empty"
TMPFS = {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"}  # noqa: S108 - a container's own
PROBE_INTERVAL = "5s"
PROBE_TIMEOUT = "5s"
PROBE_RETRIES = 12  # a minute without an answer: unhealthy
SLOWER = 3  # services give the time of a process that no limit of cores holds back
MAX_FILES = 65_536  # Elasticsearch refuses to start with fewer
MAX_PROCESSES = 4096
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


class DockerRuntime(Containers, pulumi.ComponentResource):
    """The networks of a stack, and the services and jobs that it is asked for.

    stack: part of every name on the engine. port_offset: added to every published port.
    keep_data: destroy leaves the volumes.
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
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        Containers.__init__(self, images)
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

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        return (service,)

    def endpoint(self, service: str, port: str) -> Endpoint:
        number = self.ports(service)[port]
        scheme = SCHEMES.get(port, HTTP)
        published = Address(host=LOOPBACK, port=number + self._port_offset, scheme=scheme)
        return Endpoint(host=service, port=number, scheme=scheme, published=published)

    def service(
        self,
        service: Service,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        services = service.product.services(self, service) if service.product else [service]
        needs = list(depends_on)
        for one in services:
            needs = [self._service(one, parent, needs)]
        endpoints = {label: self.endpoint(service.name, label) for label in service.ports}
        return RunningService(resource=needs[0], endpoints=endpoints)

    def _service(
        self, service: Service, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        component = Part(f"{service.name}-service", "dataflow:runtime:Service", parent)
        entry, command = starting(service)
        labels = service.audit.notes() if service.audit else {}
        docker.Container(
            f"{service.name}-container",
            **self._common(service, component, entry, command, labels),
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", *self.probe_command(service)],
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
            opts=child_of(component, depends_on=depends_on),
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
    ) -> dict[str, Any]:
        if program.name in self._started:
            raise ValueError(f"service or job {program.name!r}: the name is used twice")
        self._started.add(program.name)
        image = self.images.of(_image_of(program))
        folder = ROOT / program.name
        memory = program.size.memory_mib
        files = self._files(program, component, image.user)
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
            "mounts": [
                docker.ContainerMountArgs(
                    type="volume", source=self._named(program.name), target=str(folder)
                )
            ],
            # Other files are another container that holds them, and so another one of these.
            "labels": [
                docker.ContainerLabelArgs(label=key, value=value)
                for key, value in {FILES_LABEL: files.id, **labels}.items()
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
        """Puts the files of a service into its volume, below config/. Never started."""
        volume = docker.Volume(
            f"{program.name}-volume",
            name=self._named(program.name),
            opts=child_of(component, keep=self._keep_data),
        )
        folder = EMPTY / str(user)
        texts = {
            **program.files,
            **{k: pulumi.Output.secret(v) for k, v in program.secret_files.items()},
        }
        return docker.Container(
            f"{program.name}-files",
            name=self._named(f"{program.name}-files"),
            image=self._image(PROJECT).image_id,
            entrypoints=["/bin/true"],
            user=f"{user}:{user}",
            mounts=[
                docker.ContainerMountArgs(type="volume", source=volume.name, target=str(folder))
            ],
            uploads=[
                docker.ContainerUploadArgs(
                    file=str(folder / "config" / path),
                    content=texts[path],
                    owner=str(user),
                    group=str(user),
                    permissions=FILE_MODE,
                )
                for path in sorted(texts)
            ],
            start=False,
            must_run=False,
            restart="no",
            network_mode="none",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=32,
            memory_swap=32,
            cpus="0.1",
            opts=child_of(component),
        )

    def _attachments(
        self, program: Service | described.Job
    ) -> list[docker.ContainerNetworksAdvancedArgs]:
        layers = {place(program.name).layer, *(place(to).layer for to in program.connects_to)}
        attachments = [
            docker.ContainerNetworksAdvancedArgs(
                name=self._networks[layer].name, aliases=[program.name]
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


def _image_of(program: Service | described.Job) -> str:
    return program.program if isinstance(program, Service) else PROJECT


def _timeout(service: Service) -> int:
    return service.readiness.timeout_s if service.readiness else 60


def _succeeded(job: str, container: str, code: int) -> int:
    if code != 0:
        raise pulumi.RunError(f"job {job!r}: exit status {code}: see docker logs {container}")
    return code
