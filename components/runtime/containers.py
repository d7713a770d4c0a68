"""What runtimes with containers share: where programs, files and probes are in an image, and what
the machine that runs Pulumi verifies the services with."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pulumi

from components.options import child_of
from components.runtime.catalog import place
from components.runtime.service import (
    PROJECT,
    Authority,
    Certificate,
    Job,
    PinnedImage,
    Pods,
    Readiness,
    Runtime,
    ScheduledJob,
    Service,
    unscheduled,
)
from dynamic_providers.local.account import account
from dynamic_providers.local.directory import write_atomically
from services.images import Images
from tls.files import CertificateFiles, trust_environment

ROOT = Path("/dataflow")  # of the folders of services, in every container
# The authority that vouches for the services, in every container: for Java a truststore.
CA_FILE = ROOT / "tls" / "ca.crt"
TRUSTSTORE_FILE = ROOT / "tls" / "ca.p12"
# Programs that the project's own image holds, in environments of their own.
IN_PROJECT = {"dbt": "venvs/dbt", "source-faker": "venvs/source-faker"}
SHELL = ("/bin/sh", "-ec")
LOOPBACK = "127.0.0.1"


class Part(pulumi.ComponentResource):
    """A service or job: what it consists of are its children."""

    def __init__(self, name: str, kind: str, parent: pulumi.Resource) -> None:
        super().__init__(kind, name, None, child_of(parent))


class Containers:
    """Answers of a runtime that depend on the images alone.

    published_ca_file: where the machine that runs Pulumi gets the authority's certificate.
    authority: what certifies the services, None until `trust` has been called. The runtime puts
    CA_FILE and TRUSTSTORE_FILE into every container then, and the files of `Service.certificate`
    where `certificate_files` says."""

    bind_host = "0.0.0.0"  # noqa: S104 - networks and policies decide who gets there
    clients = "all"

    def __init__(self, images: Images, published_ca_file: Path) -> None:
        self.images = images
        self.project = Path(str(images.of(PROJECT).home))
        self.authority: Authority | None = None
        self.published_ca_file: pulumi.Output[str] | None = None  # once it is there
        self._published_ca_file = published_ca_file

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        self.authority = authority
        self.published_ca_file = authority.trusted.apply(self._publish)

    def _publish(self, trusted: str) -> str:
        """Not a resource: the official plugins read the file in previews too, and on each machine
        that runs one."""
        file = self._published_ca_file
        if not file.exists() or file.read_text() != trusted:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, trusted, account(""), 0o644, owned=True)
        return str(file)

    def certificate_files(self, service: str, certificate: Certificate) -> CertificateFiles | None:
        return certificate.files(self.directory(service)) if self.authority else None

    def environment(self, program: Service | Job) -> list[tuple[str, pulumi.Input[str]]]:
        """HOME is the data folder, as for processes: the root of an image is read-only."""
        variables: dict[str, pulumi.Input[str]] = {
            "HOME": str(ROOT / program.name / "data"),
            **(trust_environment(CA_FILE) if self.authority else {}),
            **program.environment,
        }
        return list(variables.items())

    def directory(self, name: str) -> Path:
        return ROOT / name

    def installed(self, program: str) -> Path:
        if program in IN_PROJECT:
            return self.project / IN_PROJECT[program]
        return Path(str(self.images.of(program).home))

    def python(self, module: str, *arguments: str) -> tuple[str, ...]:
        launcher = self.project / "components/runtime/launch.py"
        return (str(self.project / ".venv/bin/python"), "-u", str(launcher), module, *arguments)

    def image(self, program: str) -> PinnedImage:
        known = self.images.of(program)
        return PinnedImage(reference=self.images.reference(program), version=known.version)

    def pods(self, launched: str) -> Pods:
        raise ValueError(f"{launched!r}: expected a cluster: only there can services start pods")

    def scheduled_job(
        self,
        scheduled: ScheduledJob,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        raise unscheduled(scheduled)

    def ports(self, service: str) -> Mapping[str, int]:
        return place(service).ports

    def probe(self, program: str, *arguments: str) -> tuple[str, ...]:
        home = self.installed(program)
        if program == "postgresql":
            (port,) = arguments
            return (str(home / "bin/pg_isready"), "--host", LOOPBACK, "--port", port)
        if program == "elasticsearch":
            return (*SHELL, ELASTICSEARCH_PROBE, "probe", *arguments)
        raise ValueError(f"program {program!r}: expected one of postgresql, elasticsearch")

    def probe_command(self, service: Service) -> list[str]:
        """The command that asks the service beside it. Raises ValueError without a readiness."""
        readiness = service.readiness
        if readiness is None:
            raise ValueError(f"service {service.name!r}: readiness: expected one in a container")
        if readiness.kind == "command":
            return list(readiness.command)
        kind = self.images.of(service.program).probe
        return (
            _http_probe(kind, readiness, "https" if self.authority else "http")
            if readiness.kind == "http"
            else _tcp_probe(kind, readiness)
        )


def in_order(
    runtime: Runtime,
    service: Service,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
    start: Callable[[Service, pulumi.Resource, Sequence[pulumi.Resource]], pulumi.Resource],
) -> pulumi.Resource:
    """Makes all that a service consists of, each waiting for the one before it; the last of them.
    start: makes a single service, of its parent and what it waits for."""
    parts = service.product.parts(runtime, service) if service.product else [service]
    needs = list(depends_on)
    for one in parts:
        made = (
            start(one, parent, needs)
            if isinstance(one, Service)
            else runtime.job(one, parent=parent, depends_on=needs)
        )
        needs = [made]
    return needs[0]


# Security is on, and log-ins fail until the shard of its index, which the server makes by itself,
# is active. The password must not be an argument: others could read it in the process list.
# Arguments: port, the password's file, and the authority's where it speaks TLS.
ELASTICSEARCH_PROBE = """\
printf 'user = "elastic:%s"' "$(cat "$2")" | curl --silent --fail --output /dev/null --config - \
    ${3:+--cacert "$3"} \
    "http${3:+s}://127.0.0.1:$1/_cluster/health/.security?wait_for_active_shards=1&timeout=0s"
"""
PYTHON = ("python3", "-ISc")  # the standard library is enough: what is installed starts slower
PYTHON_HTTP = "import sys,urllib.request as r; r.urlopen(sys.argv[1], timeout=4)"
PYTHON_TCP = "import sys,socket; socket.create_connection((sys.argv[1], int(sys.argv[2])), 4)"


def _http_probe(kind: str, readiness: Readiness, scheme: str) -> list[str]:
    """Each of them verifies by the environment, except for wget: that of BusyBox cannot."""
    url = f"{scheme}://{LOOPBACK}:{readiness.port}{readiness.path}"
    commands = {
        "curl": ["curl", "--silent", "--fail", "--output", "/dev/null", url],
        "wget": ["wget", "-q", "--no-check-certificate", "-O", "/dev/null", url],
        "python": [*PYTHON, PYTHON_HTTP, url],
    }
    return commands[kind] if kind in commands else _tcp_probe(kind, readiness)


def _tcp_probe(kind: str, readiness: Readiness) -> list[str]:
    if kind == "python":
        return [*PYTHON, PYTHON_TCP, LOOPBACK, str(readiness.port)]
    return ["bash", "-c", f"exec 3<>/dev/tcp/{LOOPBACK}/{readiness.port}"]


def first_steps(service: Service) -> str:
    """Shell commands that a first start needs, each unless it has been done."""
    steps = []
    for step in service.init:
        stdin = f" < {shlex.quote(step.stdin_file)}" if step.stdin_file else ""
        steps.append(f"test -e {shlex.quote(step.creates)} || {shlex.join(step.command)}{stdin}")
    return "\n".join(steps)


def starting(service: Service) -> tuple[list[str], list[str]]:
    """Entry point and command: the first steps, then the program."""
    if not service.init:
        return [service.command[0]], list(service.command[1:])
    script = f'{first_steps(service)}\nexec "$@"'
    return [*SHELL, script, service.name], list(service.command)
