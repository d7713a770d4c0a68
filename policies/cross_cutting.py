"""Rules on the stack as a whole: addresses, secrets, certificates, backups, monitoring."""

import re
from collections.abc import Iterator

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    Stack,
    each_of,
    names,
    offence,
    violation,
)
from policies.reading import (
    CONFIG_MAP,
    DOCKER_CONTAINER,
    PROCESS,
    WORKLOADS,
    files,
    holds_credential,
    hours,
    is_job,
    known_text,
    names_credential,
    pod,
)
from policies.values import Node

STACK = "pulumi:pulumi:Stack"
COMPONENTS = "dataflow:*"
OWN_CERTIFICATES = (
    "pulumi-python:dynamic/dataflow/local:Certificate",
    "pulumi-python:dynamic/dataflow/local:IssuedCertificate",
)
CERTIFICATE = "kubernetes:cert-manager.io/*:Certificate"
VIEW = "pulumi-python:dynamic/dataflow/dremio:View"
SERVICES = (PROCESS, DOCKER_CONTAINER, *WORKLOADS)
STATEFUL = (
    "minio:index/s3Bucket:S3Bucket",
    "postgresql:index/database:Database",
    "kubernetes:apps/*:StatefulSet",
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:elasticsearch.k8s.elastic.co/*:Elasticsearch",
    "kubernetes:postgresql.cnpg.io/*:Cluster",
)
MONITORS = ("kubernetes:monitoring.coreos.com/*:*Monitor",)
ALERTS = ("kubernetes:monitoring.coreos.com/*:PrometheusRule",)
CLEAR = re.compile(r"(amqp|ftp|grpc|grpc\+tcp|http|ldap|redis|tcp|telnet|ws)://")
LAYERS = ("bronze", "silver", "gold")
CERTIFICATE_DAYS = 90
AUDIT_DAYS = 90  # specification, "Audit Data Access"
# The renewal of certificates has no port: the end of what it renews is watched.
WATCHED = ("certificates",)
AUDIT_SINK, AUDIT_RETENTION = "dataflow/audit-sink", "dataflow/audit-retention-days"


def _encrypted(resource: Resource, _stack: Stack, _context: Context) -> Found:
    for node in resource.props.leaves():
        if node.known and CLEAR.match(node.text):
            yield violation(node, of=resource)


def _marked(resource: Resource, context: Context) -> Found:
    """The offending text is left out on purpose: it is a credential, or looks like one."""
    for node in resource.props.leaves():
        if not node.known or node.secret or not isinstance(node.value, str) or not node.value:
            continue
        name = re.split(r"[.\[]", node.path.removesuffix("]"))[-1]
        if name in context.settings["names"]:
            continue
        if names_credential(name) or holds_credential(node.value):
            yield offence(node.path, "in clear text")


def _short_lived(resource: Resource, _context: Context) -> Found:
    if resource.type in OWN_CERTIFICATES:
        yield from _short_lived_here(resource)
        return
    spec = resource.props["spec"]
    life = hours(spec["duration"].text or "2160h")  # cert-manager's default
    if life is None or life > CERTIFICATE_DAYS * 24:
        yield violation(spec["duration"])
        return
    renew = hours(spec["renewBefore"].text or f"{life / 3:.0f}h")
    if renew is None or renew < life / 3 - 1:
        yield violation(spec["renewBefore"], f"expected a third of {life:.0f}h or more")
    if spec["dnsNames"].missing and spec["ipAddresses"].missing:
        yield violation(spec["dnsNames"])
    if spec["issuerRef.name"].missing:
        yield violation(spec["issuerRef.name"])


def _short_lived_here(resource: Resource) -> Found:
    """Of the stack's own authority, which signs whatever is asked."""
    life, renew = resource.props["durationDays"], resource.props["renewBeforeDays"]
    if not 0 < (life.number or 0) <= CERTIFICATE_DAYS:
        yield violation(life)
    elif (renew.number or 0) < (life.number or 0) // 3:
        yield violation(renew, f"expected a third of {life.shown()} or more")
    if resource.props["hosts"].missing:
        yield violation(resource.props["hosts"])


def _kept(stack: Stack, _context: Context) -> Found:
    stateful = list(stack.of(*STATEFUL))
    for resource in stateful:
        if resource.kept is False or (resource.kept is None and not stack.keep_data):
            yield offence("protect", of=resource)
    backups = any("backup" in _called(one).lower() for one in stack.resources)
    if stateful and not backups:
        yield offence("", "no backup resource in the stack")


def _called(resource: Resource) -> str:
    own = known_text(resource.props["metadata.name"]) or known_text(resource.props["name"])
    return f"{resource.type} {resource.name} {own}"


def _services(stack: Stack) -> Iterator[tuple[set[str], Resource]]:
    """What is kept running, with the names that it goes by: a container's holds the stack's."""
    for one in stack.of(*SERVICES):
        if not is_job(one):
            own = (known_text(one.props[key]) for key in ("name", "metadata.name"))
            short = re.sub(r"-(container|process|service)$", "", one.name)
            yield {one.name, short, *own} - {""}, one


def _scraped(stack: Stack) -> set[str]:
    """Services that are scraped. Raises NotKnown when one may be that is not known yet."""
    found = {one.props["metadata.name"].text for one in stack.of(*MONITORS)}
    for resource in stack.of(PROCESS, DOCKER_CONTAINER, CONFIG_MAP):
        for file in files(resource):
            if file.name == "prometheus.yml":
                jobs = file.text.parsed()["scrape_configs"]
                found |= {job["job_name"].text for job in jobs}
    return found


def _alerts(stack: Stack) -> Iterator[tuple[Resource, Node]]:
    for resource in stack.of(*ALERTS):
        for group in resource.props["spec.groups"]:
            for alert in group["rules"]:
                yield resource, alert
    for resource in stack.of(PROCESS, DOCKER_CONTAINER, CONFIG_MAP):
        for file in files(resource):
            if file.name.endswith((".yml", ".yaml")) and "alert:" in file.text.text:
                for group in file.text.parsed()["groups"]:
                    for alert in group["rules"]:
                        yield resource, alert


def _monitored(stack: Stack, context: Context) -> Found:
    told = ""
    for resource, alert in _alerts(stack):
        if alert["alert"].missing:
            continue
        told += str(alert.value)
        if (book := alert["annotations.runbook_url"]).missing:
            yield violation(book, f"alert {alert['alert'].shown()}", resource)
    exporters = set(context.settings["exporters"])
    services = [(called, one) for called, one in _services(stack) if not called & exporters]
    for called, service in services:
        if not any(name in told for name in called):
            yield offence("alerts", "no alert", service)
    scraped = _scraped(stack)
    for called, service in services:
        if not called & scraped:
            yield offence("metrics", "no scrape target", service)


def _layer(part: str) -> int | None:
    return LAYERS.index(part) if part in LAYERS else None


def _one_way(resource: Resource, _context: Context) -> Found:
    path, sql = resource.props["path"], resource.props["sql"]
    own = next((n for part in path if (n := _layer(part.text)) is not None), None)
    if own is None:
        return
    for layer in LAYERS[own + 1 :]:
        if re.search(rf"(?i)(?:\b|\"){layer}(?:\"?\.)", sql.text):
            yield violation(path, f"reads {layer}")


def _audit_sink(resource: Resource, _stack: Stack, _context: Context) -> Found:
    if is_job(resource):
        return
    if resource.type == PROCESS:
        found = {name: value for name, value in resource.props["environment"].items()}
    elif resource.type == DOCKER_CONTAINER:
        labels = resource.props["labels"]
        found = {label["label"].text: label["value"] for label in labels}
    else:
        found = dict(pod(resource).meta["annotations"].items())
    sink = found.get(AUDIT_SINK, Node(None, AUDIT_SINK))
    if sink.missing:
        yield violation(sink, of=resource)
    days = found.get(AUDIT_RETENTION, Node(None, AUDIT_RETENTION))
    if (days.number or 0) < AUDIT_DAYS:
        yield violation(days, f"expected {AUDIT_DAYS} or more", resource)


RULES = (
    Rule(
        id="X01",
        title="Every address of the stack is one of TLS.",
        why="Who follows an address of clear text sends password and data in clear.",
        fix="serve it over TLS",
        severity=Severity.HIGH,
        stack=each_of(STACK, COMPONENTS, check=_encrypted),
    ),
    Rule(
        id="X02",
        title="Every credential is marked as a secret.",
        why="Everything else is in clear text in the state, in previews and in logs.",
        fix="pass it as a Pulumi secret",
        severity=Severity.HIGH,
        types=("*",),
        check=_marked,
        settings={"names": names((), "Properties that are no credentials.")},
    ),
    Rule(
        id="X03",
        title="Certificates live for 90 days at most, renew early, and name their hosts.",
        why="A stolen key works as long as its certificate; a late renewal stops the service.",
        fix="set duration to 2160h or less, renewBefore to a third of it, dnsNames and issuerRef",
        severity=Severity.HIGH,
        types=(CERTIFICATE, *OWN_CERTIFICATES),
        check=_short_lived,
    ),
    Rule(
        id="X04",
        title="What holds data is kept by a destroy, and backed up.",
        why="One wrong command would delete the only copy.",
        fix="set dataflow:keepData, protect or retainOnDelete, and declare a backup",
        severity=Severity.HIGH,
        stack=_kept,
        local_gap="a stack for trying out is thrown away as a whole, unless dataflow:keepData",
    ),
    Rule(
        id="X05",
        title="Every service is scraped and has an alert with a runbook.",
        why="Otherwise users are the first to see that it is down.",
        fix="add a scrape target and an alert that names the service, with runbook_url",
        severity=Severity.MEDIUM,
        stack=_monitored,
        settings={"exporters": names(WATCHED, "Services that are watched through others.")},
    ),
    Rule(
        id="X06",
        title="Data moves from bronze to silver to gold only.",
        why="A layer that reads a later one is built from its own results.",
        fix="read the layer before, or move the view to a later one",
        severity=Severity.MEDIUM,
        types=(VIEW,),
        check=_one_way,
    ),
    Rule(
        id="X07",
        title="Every service has an audit log that is kept for 90 days.",
        why="The specification asks for it; without one nobody knows who read what.",
        fix=f"declare {AUDIT_SINK} and {AUDIT_RETENTION} of the service",
        severity=Severity.HIGH,
        stack=each_of(*SERVICES, check=_audit_sink),
        local_gap="logs of one machine are files that are rotated by size",
    ),
)
