"""Rules on Elasticsearch: its settings, roles and life cycle, on ECK and elsewhere."""

from collections.abc import Iterator

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    Stack,
    each,
    each_of,
    matches,
    names,
    number,
    offence,
    violation,
)
from policies.reading import (
    CONFIG_MAP,
    DOCKER_CONTAINER,
    PROCESS,
    files_named,
    flattened,
    setting,
    variables,
)
from policies.values import Node

CLUSTER = "kubernetes:elasticsearch.k8s.elastic.co/*:Elasticsearch"
USER = "elasticstack:index/securityUser:SecurityUser"
ROLE = "elasticstack:index/securityRole:SecurityRole"
TEMPLATE = "elasticstack:index/indexTemplate:IndexTemplate"
LIFECYCLE = "elasticstack:index/indexLifecycle:IndexLifecycle"
TLS_VERSIONS = {"TLSv1.2", "TLSv1.3"}
AUDIT_DAYS = 90  # specification, "Audit Data Access"
WRITING = {"all", "delete", "delete_index", "index", "manage", "write"}


def _nodes(resource: Resource) -> Iterator[tuple[dict[str, Node], str]]:
    """Settings of nodes, under dotted names, and where they stand."""
    if resource.type == DOCKER_CONTAINER:
        values = {name: value for name, value in variables(resource) if "." in name or not name}
        if any(name.startswith("xpack.") or name == "discovery.type" for name in values):
            yield values, "envs"
    for file in files_named("elasticsearch.yml")(resource):
        yield flattened(file.text.parsed()), file.text.path


def _secured(node: tuple[dict[str, Node], str], _context: Context) -> Found:
    values, path = node
    if (on := setting(values, "xpack.security.enabled", path)).off:
        yield violation(on)
    for layer in ("http", "transport"):
        prefix = f"xpack.security.{layer}.ssl"
        if not (on := setting(values, f"{prefix}.enabled", path)).on:
            yield violation(on)
        versions = setting(values, f"{prefix}.supported_protocols", path)
        old = set(versions.texts() or versions.text.split(",")) - TLS_VERSIONS - {""}
        if old:
            yield violation(versions)


def _transport(resource: Resource, context: Context) -> Found:
    if resource.kind != "Elasticsearch":
        yield from each(_nodes, _secured)(resource, context)
        return
    tls = resource.props["spec.http.tls"]
    if (off := tls["selfSignedCertificate.disabled"]).on:
        yield violation(off)
    if (name := tls["certificate.secretName"]).missing:
        yield violation(name)
    for nodes in resource.props["spec.nodeSets"]:
        values = flattened(nodes["config"])
        if (on := setting(values, "xpack.security.enabled", nodes.path)).off:
            yield violation(on)


def _least_rights(resource: Resource, context: Context) -> Found:
    props = resource.props
    if resource.kind == "Elasticsearch":
        if not (node := props["spec.auth.disableElasticUser"]).on:
            yield violation(node)
    elif resource.type == USER:
        if "superuser" in props["roles"].texts():
            yield violation(props["roles"])
    elif props["name"].text not in context.settings["administrators"]:
        if {"all", "manage", "manage_security"} & set(props["clusters"].texts()):
            yield violation(props["clusters"])
        for index in props["indices"]:
            if {"*", "*:*"} & set(index["names"].texts()):
                yield violation(index["names"])
            if "all" in index["privileges"].texts():
                yield violation(index["privileges"])


def _retained(template: Resource, stack: Stack, context: Context) -> Found:
    patterns = template.props["indexPatterns"]
    if not any(matches(one, context.settings["logs"]) for one in patterns.texts()):
        return
    settings = template.props["template.settings"].parsed()
    found = flattened(settings)
    name = next(
        (found[key] for key in ("index.lifecycle.name", "lifecycle.name") if key in found), None
    )
    if name is None:
        yield offence(f"{settings.path} index.lifecycle.name", of=template)
        return
    days = context.settings["days"]
    for policy in stack.of(LIFECYCLE):
        if policy.props["name"].text == name.text:
            age = policy.props["delete.minAge"]
            if _days(age.text) is None or (_days(age.text) or 0) < days:
                yield violation(age, f"expected {days}d or more", policy)
            if (action := policy.props["delete.delete"]).value is None:
                yield violation(action, "without it the phase deletes nothing", policy)
            return
    yield violation(name, "no such life cycle in the stack", template)


def _days(age: str) -> float | None:
    units = {"d": 1.0, "h": 1 / 24}
    number, unit = age[:-1], age[-1:]
    return float(number) * units[unit] if number.isdigit() and unit in units else None


def _append_only(role: Resource, _stack: Stack, context: Context) -> Found:
    for index in role.props["indices"]:
        on_logs = any(matches(one, context.settings["logs"]) for one in index["names"].texts())
        if on_logs and WRITING & set(index["privileges"].texts()):
            yield violation(index["privileges"], "can change what is logged", role)


def _log_rules(stack: Stack, context: Context) -> Found:
    yield from each_of(TEMPLATE, check=_retained)(stack, context)
    yield from each_of(ROLE, check=_append_only)(stack, context)


RULES = (
    Rule(
        id="E01",
        title="Elasticsearch asks for a log-in, over TLS 1.2 or newer, with our certificate.",
        why="Logs hold names and queries; without a log-in everybody reads and deletes them.",
        fix="enable xpack.security with http.ssl and transport.ssl, and set our certificate",
        severity=Severity.HIGH,
        types=(CLUSTER, PROCESS, DOCKER_CONTAINER, CONFIG_MAP),
        check=_transport,
    ),
    Rule(
        id="E02",
        title="The superuser is not in use; roles name their indices.",
        why="Who takes over a log writer must not read, nor delete, all else.",
        fix="disable the elastic user; give each writer a role with its indices",
        severity=Severity.HIGH,
        types=(CLUSTER, USER, ROLE),
        check=_least_rights,
        settings={"administrators": names((), "Roles that administer the cluster.")},
    ),
    Rule(
        id="E03",
        title="Logs are kept for 90 days and then deleted; writers can only append.",
        why="The specification asks for 90 days; a writer that can delete hides its traces.",
        fix="set index.lifecycle.name to a policy with a delete phase; grant create_doc only",
        severity=Severity.MEDIUM,
        stack=_log_rules,
        settings={
            "logs": names(("*logs*", "*audit*"), "Patterns of indices that hold logs."),
            "days": number(AUDIT_DAYS, "Least age at which logs may be deleted."),
        },
        local_gap="the minimal distribution has no life cycle management",
    ),
)
