"""What to run, without a word about how: services and jobs, and the interface of a runtime."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pulumi

from services.init import Init

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")

# The name of a port tells its protocol, as in Kubernetes; all others speak HTTP.
SCHEMES: Mapping[str, str] = {"flight": "grpc", "sql": "postgresql", "transport": "tcp"}
HTTP = "http"

Texts = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """When a service counts as started: an HTTP answer, an open TCP port, or a command that
    succeeds.

    kind: http (url, status_codes), tcp (port) or command (command).
    timeout_s: seconds until the start counts as failed.
    """

    kind: str
    url: str = ""
    port: int = 0
    command: tuple[str, ...] = ()
    status_codes: tuple[int, ...] = (200,)
    timeout_s: int = 60

    def __post_init__(self) -> None:
        given = {"http": self.url, "tcp": self.port, "command": self.command}
        if self.kind not in given:
            raise ValueError(f"readiness: kind {self.kind!r}: expected one of {', '.join(given)}")
        if [kind for kind, value in given.items() if value] != [self.kind]:
            wanted = {"http": "url", "tcp": "port", "command": "command"}[self.kind]
            raise ValueError(f"readiness: kind {self.kind!r}: expected a {wanted} and no other")
        if self.timeout_s < 1:
            raise ValueError(
                f"readiness: timeout_s {self.timeout_s!r}: expected 1 or more seconds"
            )


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that is kept running.

    command: program and arguments; it stays in the foreground.
    environment: variables, never secrets.
    files, secret_files: path below `Runtime.directory(name)/config` -> content. A change
        restarts the service. Secret files are readable by it alone.
    init: commands before the first start.
    ports: name -> port; SCHEMES tells what each speaks.
    connects_to: names of services that must be ready before it.
    stop_timeout_s: seconds from the stop signal to SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Texts = field(default_factory=dict)
    files: Texts = field(default_factory=dict)
    secret_files: Texts = field(default_factory=dict)
    init: tuple[Init, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: Readiness | None = None
    connects_to: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    stop_timeout_s: int = 10

    def __post_init__(self) -> None:
        _check_program(self)
        for label, port in self.ports.items():
            if not 1 <= port <= 65_535:
                raise ValueError(
                    f"service {self.name!r}: port {label} {port!r}: expected 1 to 65535"
                )
        if len(set(self.ports.values())) < len(self.ports):
            raise ValueError(f"service {self.name!r}: ports {dict(self.ports)}: one is used twice")
        if self.stop_timeout_s < 1:
            raise ValueError(
                f"service {self.name!r}: stop_timeout_s {self.stop_timeout_s!r}: "
                "expected 1 or more seconds"
            )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A program that runs to its end when it is created, and again when anything here but
    timeout_s changes. It must be safe to repeat.

    triggers: texts that stand for what it reads, such as digests.
    The others are as for Service.
    """

    name: str
    command: tuple[str, ...]
    environment: Texts = field(default_factory=dict)
    files: Texts = field(default_factory=dict)
    secret_files: Texts = field(default_factory=dict)
    triggers: Texts = field(default_factory=dict)
    timeout_s: int = 600

    def __post_init__(self) -> None:
        _check_program(self)
        if self.timeout_s < 1:
            raise ValueError(
                f"job {self.name!r}: timeout_s {self.timeout_s!r}: expected 1 or more"
            )


def _check_program(program: Service | Job) -> None:
    kind = type(program).__name__.lower()
    if not NAME.fullmatch(program.name):
        raise ValueError(
            f"{kind} {program.name!r}: name: expected 1 to 40 lower-case letters, digits and "
            "hyphens, starting with a letter"
        )
    if not program.command:
        raise ValueError(f"{kind} {program.name!r}: command: expected a program")
    if twice := sorted(set(program.files) & set(program.secret_files)):
        raise ValueError(f"{kind} {program.name!r}: {twice[0]!r}: is in files and secret_files")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where clients reach one port of a service."""

    host: str
    port: int
    scheme: str = HTTP

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class RunningService:
    """resource: ready when the service is. endpoints: name of the port -> endpoint."""

    resource: pulumi.Resource
    endpoints: Mapping[str, Endpoint]


class Runtime(Protocol):
    """Runs services and jobs in one environment."""

    def directory(self, name: str) -> Path:
        """The folder of a service or job as its program sees it: config/ holds its files (the
        program may add some), data/ is its own and its working folder."""

    def installed(self, program: str) -> Path:
        """Where the bootstrap put a program: a folder, or a file for a single binary."""

    def python(self, module: str, *arguments: str) -> tuple[str, ...]:
        """The command that runs a module of this project."""

    def service(
        self,
        service: Service,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> RunningService: ...

    def job(
        self, job: Job, *, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        """Done when the job has succeeded."""
