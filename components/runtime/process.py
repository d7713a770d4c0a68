"""Services as supervised processes of this machine."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pulumi

from components.options import child_of
from components.runtime import service as described
from components.runtime.catalog import place
from components.runtime.service import (
    HTTP,
    SCHEMES,
    TLS_SCHEMES,
    Address,
    Authority,
    Certificate,
    Endpoint,
    PinnedImage,
    Pods,
    Readiness,
    RunningService,
    ScheduledJob,
    Service,
    unscheduled,
)
from dynamic_providers.endpoints import HOST
from dynamic_providers.local import resources as local
from services.init import Init
from services.postgresql.config import SUPERUSER
from tls.authority import fingerprint, load
from tls.files import CertificateFiles, trust_environment
from tools.paths import Paths

RENEWAL = "certificates"  # the service that renews them
AUTHORITIES = "DATAFLOW_AUTHORITIES"  # variable that nobody reads
LAUNCHER = Path(__file__).with_name("launch.py")


class ProcessRuntime(pulumi.ComponentResource):
    """The supervisor of a stack, and the services and jobs that it is asked for.

    stack_dir: absolute; the user must be able to enter it.
    user: whom services run as, "" for the one that runs Pulumi.
    port_offset: added to every port.
    keep_data: destroy leaves data and logs of services on disk.
    """

    bind_host = HOST
    clients = f"{HOST}/32"
    administrator = SUPERUSER
    clustered = False

    def __init__(
        self,
        name: str,
        *,
        stack_dir: Path,
        user: str,
        port_offset: int,
        keep_data: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("dataflow:runtime:ProcessRuntime", name, None, opts)
        self._stack_dir = stack_dir
        self._user = user
        self._port_offset = port_offset
        self._keep_data = keep_data
        self._paths = Paths.find()
        self.project = self._paths.root
        self._names: set[str] = {RENEWAL}
        self._authority: Authority | None = None
        self._published: local.CertificateAuthority | None = None
        self._supervisor = local.Supervisor(
            f"{name}-supervisor",
            stack_dir=str(stack_dir),
            keep_data=keep_data,
            opts=child_of(self),
        )
        self.register_outputs({"stackDir": str(stack_dir)})

    @property
    def _ca_file(self) -> Path:
        return self._stack_dir / "tls" / "ca.crt"

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        self._authority = authority
        self._published = local.CertificateAuthority(
            "certificate-authority",
            stack_dir=str(self._stack_dir),
            certificate=authority.trusted,
            opts=child_of(parent, depends_on=[self._supervisor]),
        )
        # Not as the services' user: what it may read, they may, and could sign with.
        secret = self.directory(RENEWAL) / "config" / "authority"
        local.Process(
            "certificates-renewal",
            stack_dir=str(self._stack_dir),
            name=RENEWAL,
            command=self.python(
                "dynamic_providers.local.renewal", str(self._stack_dir), str(secret)
            ),
            secret_files={"authority": authority.secret},
            opts=child_of(parent, depends_on=[self._supervisor]),
        )

    def certificate_files(self, service: str, certificate: Certificate) -> CertificateFiles | None:
        return certificate.files(self.directory(service)) if self._authority else None

    def ports(self, service: str) -> Mapping[str, int]:
        return {label: port + self._port_offset for label, port in place(service).ports.items()}

    def endpoint(self, service: str, port: str) -> Endpoint:
        return self._endpoint(port, self.ports(service)[port])

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        return (HOST,)

    def probe(self, program: str, *arguments: str) -> tuple[str, ...]:
        return self.python(f"services.{program}.ready", *arguments)

    def directory(self, name: str) -> Path:
        return self._stack_dir / "services" / name

    def installed(self, program: str) -> Path:
        places = {
            "dbt": self._paths.venvs,
            "elasticsearch": self._paths.opt,
            "minio": self._paths.bin,
            "postgresql": self._paths.opt,
            "prometheus": self._paths.opt,
            "source-faker": self._paths.venvs,
            "superset": self._paths.venvs,
        }
        if program not in places:
            raise ValueError(f"program {program!r}: expected one of {', '.join(places)}")
        return places[program] / program

    def image(self, program: str) -> PinnedImage:
        raise ValueError(f"{program!r}: expected a container engine: processes have no images")

    def pods(self, launched: str) -> Pods:
        raise ValueError(f"{launched!r}: expected a cluster: only there can services start pods")

    def python(self, module: str, *arguments: str) -> tuple[str, ...]:
        # -u: the last lines before a crash must be in the log.
        return (str(self._paths.venv / "bin/python"), "-u", str(LAUNCHER), module, *arguments)

    def service(
        self,
        service: Service,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        self._require_new(service.name)
        endpoints = {label: self._endpoint(label, port) for label, port in service.ports.items()}
        resource = _ServiceComponent(
            service.name,
            props=self._props(service),
            certificate=self._certificate(service),
            endpoints=endpoints,
            parent=parent,
            depends_on=self._after(depends_on),
        )
        return RunningService(resource=resource, endpoints=endpoints)

    def job(
        self,
        job: described.Job,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        self._require_new(job.name)
        return _JobComponent(job, self._common(job), parent, self._after(depends_on))

    def scheduled_job(
        self,
        scheduled: ScheduledJob,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        raise unscheduled(scheduled)

    def _require_new(self, name: str) -> None:
        if name in self._names:
            raise ValueError(f"service or job {name!r}: the name is used twice")
        self._names.add(name)

    def _after(self, others: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        return [self._supervisor, *([self._published] if self._published else []), *others]

    def _common(self, program: Service | described.Job) -> dict[str, Any]:
        return {
            "stack_dir": str(self._stack_dir),
            "name": program.name,
            "command": program.command,
            "environment": {**self._trust_environment(), **program.environment},
            "files": program.files,
            "secret_files": program.secret_files,
            "user": self._user,
        }

    def _props(self, service: Service) -> dict[str, Any]:
        directory = self.directory(service.name)
        common = self._common(service)
        if service.connects_to and self._authority and self._authority.replaced:
            # Programs read the file of authorities once: another value starts them anew.
            digest = self._authority.trusted.apply(lambda pem: sha256(pem.encode()).hexdigest())
            common["environment"][AUTHORITIES] = digest
        return {
            **common,
            "init": [_init(step, service.name, directory) for step in service.init],
            "ports": sorted(service.ports.values()),
            "readiness": self._readiness(service.readiness),
            "stop_signal": service.stop_signal,
            "stop_timeout_s": service.stop_timeout_s,
            "keep_data": self._keep_data,
        }

    def _trust_environment(self) -> dict[str, str]:
        return trust_environment(self._ca_file) if self._authority else {}

    def _certificate(self, service: Service) -> dict[str, Any] | None:
        """Inputs of its certificate."""
        if self._authority is None or service.certificate is None:
            return None
        return {
            "stack_dir": str(self._stack_dir),
            "name": service.name,
            "authority": self._authority.certificate.apply(lambda pem: fingerprint(load(pem))),
            "hosts": [HOST, "localhost", service.name],
            "user": self._user,
            "certificate_file": service.certificate.certificate,
            "key_file": service.certificate.key,
            "ca_file": service.certificate.ca,
            "reload_signal": service.certificate.reload_signal,
        }

    def _endpoint(self, label: str, port: int) -> Endpoint:
        scheme = SCHEMES.get(label, HTTP)
        if self._published is not None:
            scheme = TLS_SCHEMES.get(scheme, scheme)
        return Endpoint(
            host=HOST,
            port=port,
            scheme=scheme,
            published=Address(host=HOST, port=port, scheme=scheme),
            ca_file=self._ca_file if self._published else None,
            published_ca_file=self._published.id if self._published else None,
        )

    def _readiness(self, readiness: Readiness | None) -> dict[str, Any]:
        if readiness is None:
            return {}
        secure = self._authority is not None
        wanted: dict[str, dict[str, Any]] = {
            "http": {
                "url": f"{'https' if secure else HTTP}://{HOST}:{readiness.port}{readiness.path}",
                "statusCodes": list(readiness.status_codes),
                "caFile": str(self._ca_file) if secure else "",
            },
            "tcp": {"port": readiness.port},
            "command": {"command": list(readiness.command)},
        }
        return {
            "kind": readiness.kind,
            "timeoutS": readiness.timeout_s,
            **wanted[readiness.kind],
        }


class _ServiceComponent(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        *,
        props: dict[str, Any],
        certificate: dict[str, Any] | None,
        endpoints: Mapping[str, Endpoint],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("dataflow:runtime:Service", f"{name}-service", None, child_of(parent))
        needs = list(depends_on)
        if certificate is not None:
            options = child_of(self, depends_on=depends_on)
            needs.append(local.Certificate(f"{name}-certificate", **certificate, opts=options))
        local.Process(f"{name}-process", **props, opts=child_of(self, depends_on=needs))
        urls = {label: endpoint.url for label, endpoint in endpoints.items()}
        self.register_outputs({"endpoints": urls})


class _JobComponent(pulumi.ComponentResource):
    def __init__(
        self,
        job: described.Job,
        props: dict[str, Any],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("dataflow:runtime:Job", f"{job.name}-job", None, child_of(parent))
        local.Job(
            f"{job.name}-run",
            **props,
            triggers=job.triggers,
            timeout_s=job.timeout_s,
            opts=child_of(self, depends_on=depends_on),
        )
        self.register_outputs({"name": job.name})


def _init(step: Init, service: str, directory: Path) -> dict[str, Any]:
    return {
        "command": list(step.command),
        "creates": _below(directory, step.creates, service, "creates"),
        "stdinFile": _below(directory / "config", step.stdin_file, service, "stdin_file"),
    }


def _below(folder: Path, path: str | None, service: str, field: str) -> str:
    if not path:
        return ""
    if not Path(path).is_relative_to(folder):
        raise ValueError(f"service {service!r}: {field} {path!r}: expected a path below {folder}")
    return str(Path(path).relative_to(folder))
