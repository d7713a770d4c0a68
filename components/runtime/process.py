"""Services as supervised processes of this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi

from components.options import child_of
from components.runtime import service as described
from components.runtime.service import HTTP, SCHEMES, Endpoint, Readiness, RunningService, Service
from dynamic_providers.endpoints import HOST
from dynamic_providers.local import resources as local
from services.init import Init
from tools.paths import Paths

LAUNCHER = Path(__file__).with_name("launch.py")


class ProcessRuntime(pulumi.ComponentResource):
    """The supervisor of a stack, and the services and jobs that it is asked for.

    stack_dir: absolute; the user must be able to enter it.
    user: whom services run as, "" for the one that runs Pulumi.
    keep_data: destroy leaves data and logs of services on disk.
    """

    def __init__(
        self,
        name: str,
        *,
        stack_dir: Path,
        user: str,
        keep_data: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("dataflow:runtime:ProcessRuntime", name, None, opts)
        self._stack_dir = stack_dir
        self._user = user
        self._keep_data = keep_data
        self._paths = Paths.find()
        self._started: dict[str, pulumi.Resource] = {}
        self._supervisor = local.Supervisor(
            f"{name}-supervisor",
            stack_dir=str(stack_dir),
            keep_data=keep_data,
            opts=child_of(self),
        )
        self.register_outputs({"stackDir": str(stack_dir)})

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
        needs = [*depends_on, *(self._connection(service, other) for other in service.connects_to)]
        resource = _ServiceComponent(service, self._props(service), parent, self._after(needs))
        self._started[service.name] = resource
        return RunningService(resource=resource, endpoints=_endpoints(service))

    def job(
        self,
        job: described.Job,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        self._require_new(job.name)
        resource = _JobComponent(job, self._common(job), parent, self._after(depends_on))
        self._started[job.name] = resource
        return resource

    def _require_new(self, name: str) -> None:
        if name in self._started:
            raise ValueError(f"service or job {name!r}: the name is used twice")

    def _connection(self, service: Service, other: str) -> pulumi.Resource:
        if other not in self._started:
            known = ", ".join(sorted(self._started)) or "none"
            raise ValueError(
                f"service {service.name!r}: connects_to {other!r}: expected a service declared "
                f"before it: {known}"
            )
        return self._started[other]

    def _after(self, others: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        return [self._supervisor, *others]

    def _common(self, program: Service | described.Job) -> dict[str, Any]:
        return {
            "stack_dir": str(self._stack_dir),
            "name": program.name,
            "command": program.command,
            "environment": program.environment,
            "files": program.files,
            "secret_files": program.secret_files,
            "user": self._user,
        }

    def _props(self, service: Service) -> dict[str, Any]:
        directory = self.directory(service.name)
        return {
            **self._common(service),
            "init": [_init(step, service.name, directory) for step in service.init],
            "ports": sorted(service.ports.values()),
            "readiness": _readiness(service.readiness),
            "stop_signal": service.stop_signal,
            "stop_timeout_s": service.stop_timeout_s,
            "keep_data": self._keep_data,
        }


class _ServiceComponent(pulumi.ComponentResource):
    def __init__(
        self,
        service: Service,
        props: dict[str, Any],
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__(
            "dataflow:runtime:Service", f"{service.name}-service", None, child_of(parent)
        )
        local.Process(
            f"{service.name}-process", **props, opts=child_of(self, depends_on=depends_on)
        )
        endpoints = {label: end.url for label, end in _endpoints(service).items()}
        self.register_outputs({"endpoints": endpoints})


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


def _endpoints(service: Service) -> dict[str, Endpoint]:
    return {
        label: Endpoint(host=HOST, port=port, scheme=SCHEMES.get(label, HTTP))
        for label, port in service.ports.items()
    }


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


def _readiness(readiness: Readiness | None) -> dict[str, Any]:
    if readiness is None:
        return {}
    wanted: dict[str, dict[str, Any]] = {
        "http": {"url": readiness.url, "statusCodes": list(readiness.status_codes)},
        "tcp": {"port": readiness.port},
        "command": {"command": list(readiness.command)},
    }
    return {"kind": readiness.kind, "timeoutS": readiness.timeout_s, **wanted[readiness.kind]}
