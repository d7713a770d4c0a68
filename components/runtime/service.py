"""What to run, without a word about how: services and jobs, and the interface of a runtime."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pulumi
from cronsim import CronSim, CronSimError

from components.sizing import SMALLEST, Size
from services.init import Init
from tls.files import CertificateFiles

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")

# The name of a port tells its protocol, as in Kubernetes; all others speak HTTP.
SCHEMES: Mapping[str, str] = {"flight": "grpc", "sql": "postgresql", "transport": "tcp"}
HTTP = "http"
# Others keep their name.
TLS_SCHEMES: Mapping[str, str] = {"http": "https", "grpc": "grpc+tls", "tcp": "tls"}

CRON_FIELDS = 5
GATEWAY = "gateway"  # in connects_to: services by way of what publishes them
PROJECT = "dataflow"  # the program whose modules are this project's

Texts = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """When a service counts as started: an HTTP answer, an open TCP port, or a command that
    succeeds.

    kind: http (port, path, status_codes), tcp (port) or command (command). Where the service
        is asked is the runtime's to say; a command runs where the service does.
    timeout_s: seconds until the start counts as failed.
    """

    kind: str
    port: int = 0
    path: str = ""
    command: tuple[str, ...] = ()
    status_codes: tuple[int, ...] = (200,)
    timeout_s: int = 60

    def __post_init__(self) -> None:
        fields = {"http": ("port", "path"), "tcp": ("port",), "command": ("command",)}
        if self.kind not in fields:
            raise ValueError(f"readiness: kind {self.kind!r}: expected one of {', '.join(fields)}")
        given = tuple(name for name in ("port", "path", "command") if getattr(self, name))
        if given != fields[self.kind]:
            wanted = " and ".join(fields[self.kind])
            raise ValueError(f"readiness: kind {self.kind!r}: expected {wanted}, and no other")
        if self.timeout_s < 1:
            raise ValueError(
                f"readiness: timeout_s {self.timeout_s!r}: expected 1 or more seconds"
            )


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket, and the account with which a program uses it."""

    endpoint: "Endpoint"
    name: str
    region: str
    access_key: pulumi.Input[str]
    secret_key: pulumi.Output[str]

    @property
    def public(self) -> "Bucket":
        """The same for programs that know the public authorities alone."""
        there = self.endpoint.public
        if there is None:
            return self
        endpoint = Endpoint(host=there.host, port=there.port, scheme=there.scheme, published=there)
        return replace(self, endpoint=endpoint)

    @property
    def of_aws(self) -> bool:
        return self.endpoint.host.endswith(".amazonaws.com")


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What a service begins with: what `archive`, in the same place as its own, held at `time` (in
    UTC, RFC 3339)."""

    archive: str
    time: str

    @property
    def suffix(self) -> str:
        """For names of what is made of it."""
        return re.sub("[^0-9a-z]", "", self.time.lower())


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A place for backups: `prefix` of a bucket. store: the service that has it, for connects_to.
    name: of the service's own archive there, in which nobody else may ever have written."""

    store: str
    bucket: Bucket
    prefix: str
    name: str
    recovery: Recovery | None = None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate that a service serves with, on every port: the names of its PEM files in
    `Runtime.directory(service)/config/tls`, as the program wants them.

    reload_signal: what makes the program read renewed files; "" where it looks by itself.
    restarts: it reads them at its start alone. Of containers, as the next.
    keystore: for programs that read no PEM, a PKCS 12 file beside them with the same certificate
        and key, and the password that opens it.
    """

    certificate: str = "tls.crt"
    key: str = "tls.key"
    ca: str = "ca.crt"
    reload_signal: str = ""
    restarts: bool = False
    keystore: "Keystore | None" = None

    def files(self, directory: Path) -> CertificateFiles:
        """directory: of the service."""
        folder = directory / "config" / "tls"
        return CertificateFiles(
            certificate=folder / self.certificate, key=folder / self.key, ca=folder / self.ca
        )


@dataclass(frozen=True, kw_only=True)
class Keystore:
    """A file beside a certificate. password: opens it, and its key."""

    name: str
    password: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Where the record of what users did with a service is collected, and for how long."""

    sink: str
    retention_days: int

    def notes(self) -> dict[str, str]:
        """For the service where it runs: what is audited can be seen there."""
        return {
            "dataflow/audit-sink": self.sink,
            "dataflow/audit-retention-days": str(self.retention_days),
        }


@dataclass(frozen=True, kw_only=True)
class Launched:
    """Programs that a service starts by itself, each in a pod of its own, with a name of the
    catalog. connects_to, reaches_outside: as for Service."""

    name: str
    connects_to: tuple[str, ...] = ()
    reaches_outside: bool = False


@dataclass(frozen=True, kw_only=True)
class Filled:
    """One entry of a secret that a job fills (Job.fills)."""

    secret: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that is kept running.

    program: which one, as `Runtime.installed` names it; PROJECT for modules of this project.
    command: its path and arguments; it stays in the foreground.
    environment: variables, never secrets.
    files, secret_files: path below `Runtime.directory(name)/config` -> content. A change
        restarts the service. Secret files are readable by it alone.
    filled_files: path below config -> what a job left there before.
    init: commands before the first start.
    ports: name -> port that it listens on; SCHEMES tells what each speaks.
    certificate: None for a service that has no TLS.
    connects_to: names of services that it opens connections to, started before it or not: the
        edges of the data flow, and all that its network lets through.
    reaches_outside: it opens connections to hosts outside the stack too.
    launches: what it starts by itself, where it can.
    size: cores, memory, disk and replicas, for runtimes that can limit them.
    audit: None where nobody collects what its users do.
    archive: where it writes its log and backups, for runtimes that do that as they run it.
    product: what this service stands for, where the real product can run.
    stop_timeout_s: seconds from the stop signal to SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    program: str = PROJECT
    environment: Texts = field(default_factory=dict)
    files: Texts = field(default_factory=dict)
    secret_files: Texts = field(default_factory=dict)
    filled_files: Mapping[str, Filled] = field(default_factory=dict)
    init: tuple[Init, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    certificate: Certificate | None = None
    readiness: Readiness | None = None
    connects_to: tuple[str, ...] = ()
    reaches_outside: bool = False
    launches: Launched | None = None
    size: Size = SMALLEST
    audit: Audit | None = None
    archive: Archive | None = None
    product: "Product | None" = None
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

    fills: name of a secret of the cluster that it fills.
    triggers: texts that stand for what it reads, such as digests.
    The others are as for Service.
    """

    name: str
    command: tuple[str, ...]
    program: str = PROJECT
    environment: Texts = field(default_factory=dict)
    files: Texts = field(default_factory=dict)
    secret_files: Texts = field(default_factory=dict)
    fills: str = ""
    triggers: Texts = field(default_factory=dict)
    connects_to: tuple[str, ...] = ()
    reaches_outside: bool = False
    size: Size = SMALLEST
    timeout_s: int = 600

    def __post_init__(self) -> None:
        _check_program(self)
        if self.timeout_s < 1:
            raise ValueError(
                f"job {self.name!r}: timeout_s {self.timeout_s!r}: expected 1 or more"
            )


@dataclass(frozen=True, kw_only=True)
class ScheduledJob:
    """A job that runs by the clock, never twice at once, and at a change of it not before. It must
    be safe to interrupt, too. schedule: cron of five fields, in UTC."""

    job: Job
    schedule: str

    def __post_init__(self) -> None:
        try:
            if len(self.schedule.split()) != CRON_FIELDS:
                raise CronSimError("Wrong number of fields")
            CronSim(self.schedule, datetime.now(UTC))
        except CronSimError as fault:
            raise ValueError(
                f"job {self.job.name!r}: schedule {self.schedule!r}: {fault}: expected minute, "
                "hour, day, month and weekday"
            ) from None


def unscheduled(scheduled: ScheduledJob) -> ValueError:
    """Of a runtime that cannot."""
    return ValueError(
        f"job {scheduled.job.name!r}: schedule {scheduled.schedule!r}: expected a cluster: "
        "elsewhere the pipeline runs by its own schedule, and nothing else by one"
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
class Address:
    host: str
    port: int
    scheme: str = HTTP

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Endpoint(Address):
    """Where other services reach one port of a service.

    published: where the machine that runs Pulumi reaches it, and the users of the stack.
    ca_file: of the authority that vouches for it, as other services find it; None without TLS.
    truststore_file: the same for Java in containers, PKCS 12 without a password.
    published_ca_file: the same on the machine that runs Pulumi, known once the file is there:
        official plugins read it also for a preview.
    public: where it is reached by a certificate that others than the stack's authority vouch for,
        also from inside; None where there is no such way, or no need for it.
    """

    published: Address
    ca_file: Path | None = None
    truststore_file: Path | None = None
    published_ca_file: pulumi.Output[str] | None = None
    public: Address | None = None

    @property
    def java_options(self) -> tuple[str, ...]:
        """How Java verifies it: it looks for authorities nowhere else then."""
        if self.truststore_file is None:
            return ()
        return (
            f"-Djavax.net.ssl.trustStore={self.truststore_file}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
        )


@dataclass(frozen=True, kw_only=True)
class RunningService:
    """resource: ready when the service is. endpoints: name of the port -> endpoint."""

    resource: pulumi.Resource
    endpoints: Mapping[str, Endpoint]


class Product(Protocol):
    """A product that consists of services of its own."""

    def parts(self, runtime: "Runtime", stand_in: Service) -> Sequence[Service | Job]:
        """In starting order. The one with the stand-in's name is the one that others talk to."""


@dataclass(frozen=True, kw_only=True)
class PinnedImage:
    """reference: what a container engine pulls."""

    reference: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Pods:
    """What a product that starts pods by itself must give each of them. account: without rights
    in the cluster, and without a token."""

    namespace: str
    account: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Authority:
    """What certifies the services of a stack.

    secret: the credential that it is derived from, as tls.authority does it.
    certificate: in PEM, known in previews.
    trusted: what clients trust, in PEM: the certificate, and another one while it is replaced.
    """

    secret: pulumi.Output[str]
    certificate: pulumi.Output[str]
    trusted: pulumi.Output[str]
    replaced: bool


class Runtime(Protocol):
    """Runs services and jobs in one environment.

    bind_host: the address that services listen on.
    clients: who may connect to them, as a network in CIDR notation or `all`.
    project: the root of this project as its modules see it.
    administrator: who administers PostgreSQL, with the credential `postgres-superuser`.
    clustered: whether services can have replicas, each with a name and a disk of its own.
    """

    bind_host: str
    clients: str
    project: Path
    administrator: str
    clustered: bool

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        """Makes `authority` the one that certifies the services declared from then on, and that
        they and all jobs trust."""

    def certificate_files(self, service: str, certificate: Certificate) -> CertificateFiles | None:
        """The files of a service's certificate as its program sees them; None where the
        environment gives it none."""

    def ports(self, service: str) -> Mapping[str, int]:
        """name -> port that a service of the catalog listens on."""

    def endpoint(self, service: str, port: str) -> Endpoint:
        """Where a service of the catalog is reached, started or not."""

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        """The host name of each replica of a service, for products whose replicas must know each
        other. One where there are no replicas."""

    def probe(self, program: str, *arguments: str) -> tuple[str, ...]:
        """The command that succeeds once a program, running beside it, is ready: `postgresql`
        PORT, `elasticsearch` PORT PASSWORD_FILE [CA_FILE]."""

    def directory(self, name: str) -> Path:
        """The folder of a service or job as its program sees it: config/ holds its files (the
        program may add some), data/ is its own and its working folder."""

    def installed(self, program: str) -> Path:
        """Where the bootstrap put a program: a folder, or a file for a single binary."""

    def python(self, module: str, *arguments: str) -> tuple[str, ...]:
        """The command that runs a module of this project."""

    def image(self, program: str) -> PinnedImage:
        """Raises ValueError where programs do not come from images."""

    def pods(self, launched: str) -> Pods:
        """For what runs as `launched` of the catalog. Raises ValueError where services can start
        none."""

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

    def scheduled_job(
        self,
        scheduled: ScheduledJob,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        """Done when the job is scheduled. Raises ValueError where nothing keeps a schedule but
        the pipeline its own."""
