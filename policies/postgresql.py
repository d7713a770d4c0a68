"""Rules on PostgreSQL: its files, its roles, and how clients reach it.

They follow the CIS PostgreSQL Benchmark.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    Stack,
    each,
    each_of,
    names,
    offence,
    violation,
)
from policies.reading import (
    CONFIG_MAP,
    CONFIGURED,
    DOCKER_CONTAINER,
    PODS,
    PROCESS,
    STARTED,
    arguments,
    configuration,
    files,
    files_named,
    known_text,
    pod,
    setting,
    variables,
)
from policies.values import Node

CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
ROLE = "postgresql:index/role:Role"
GRANTS = ("postgresql:index/grant:Grant", "postgresql:index/defaultPrivileges:DefaultPrivileges")
PROVIDER = "pulumi:providers:postgresql"
AIRBYTE_SOURCE = "pulumi-python:dynamic/dataflow/airbyte:Source"
METHODS = ("cert", "reject", "scram-sha-256")
LOCAL_METHODS = (*METHODS, "peer")
TLS_VERSIONS = ("", "TLSv1.2", "TLSv1.3")  # the default is TLS 1.2
EVERYWHERE = ("0.0.0.0/0", "::/0", "all")
CONF, HBA = "postgresql.conf", "pg_hba.conf"


def _settings(resource: Resource) -> Iterator[dict[str, Node]]:
    """The server's settings: its file's, or the parameters of a CloudNativePG cluster. The
    operator of that one sets TLS, scram and the log by itself, so they may be left out there."""
    if resource.type == CLUSTER:
        yield {name: node for name, node in resource.props["spec.postgresql.parameters"].items()}
        return
    for file in files_named(CONF)(resource):
        yield configuration(file.text)


def _get(values: dict[str, Node], name: str) -> Node:
    return values.get(name, Node(None, f"{CONF} {name}"))


def _hba(resource: Resource) -> Iterator[Node]:
    """Lines of pg_hba.conf, split into words, each with its path."""
    if resource.type == CLUSTER:
        for item in resource.props["spec.postgresql.pg_hba"]:
            if words := item.text.split():
                yield item.derived(words)
        return
    for file in files_named(HBA)(resource):
        for number, line in enumerate(file.text.text.splitlines(), 1):
            if words := line.partition("#")[0].split():
                yield file.text.derived(words, f"{file.text.path} line {number}")


def _address(words: list[str]) -> tuple[str, str]:
    """Address and method of a line of pg_hba.conf."""
    if words[0] == "local":
        return "", words[3] if len(words) > 3 else ""
    if len(words) > 5 and re.fullmatch(r"[\d.]+|[\da-fA-F:]+", words[4]):
        return f"{words[3]} {words[4]}", words[5]  # address and mask
    return (words[3] if len(words) > 3 else ""), (words[4] if len(words) > 4 else "")


def _tls(resource: Resource, context: Context) -> Found:
    if resource.type != CLUSTER:
        for values in _settings(resource):
            if not (ssl := _get(values, "ssl")).on:
                yield violation(ssl)
    for values in _settings(resource):
        if (least := _get(values, "ssl_min_protocol_version")).text not in TLS_VERSIONS:
            yield violation(least)
    yield from each(_hba, _encrypted_line)(resource, context)


def _encrypted_line(line: Node, _context: Context) -> Found:
    words = line.texts()
    if words[0] not in ("local", "hostssl") and _address(words)[1] != "reject":
        yield violation(line.derived(words[0]), "lets clients in without TLS")


def _authentication(resource: Resource, context: Context) -> Found:
    for values in _settings(resource):
        if (kind := _get(values, "password_encryption")).text not in ("", "scram-sha-256"):
            yield violation(kind)
    yield from each(_hba, _safe_line)(resource, context)


def _safe_line(line: Node, _context: Context) -> Found:
    words = line.texts()
    address, method = _address(words)
    if method not in (LOCAL_METHODS if words[0] == "local" else METHODS):
        yield violation(line.derived(method))
    if address in EVERYWHERE and method != "reject":
        yield violation(line.derived(address))


def _audited(values: dict[str, Node], _context: Context) -> Found:
    libraries = _get(values, "shared_preload_libraries")
    # CloudNativePG loads the library of itself once one of its parameters is set.
    if "pgaudit" not in libraries.text and "pgaudit.log" not in values:
        yield violation(libraries)
    log = _get(values, "pgaudit.log")
    kinds = {kind.strip() for kind in log.text.split(",")}
    if "all" not in kinds and {"ddl", "role", "write"} - kinds:
        yield violation(log)


def _json_log(resource: Resource, _context: Context) -> Found:
    if resource.type != CLUSTER:  # its operator logs JSON
        for values in _settings(resource):
            if "jsonlog" not in (target := _get(values, "log_destination")).text:
                yield violation(target)


def _audit(resource: Resource, context: Context) -> Found:
    yield from each(_settings, _audited)(resource, context)
    yield from _json_log(resource, context)


def _logged(resource: Resource, _context: Context) -> Found:
    for values in _settings(resource):
        for name in ("log_connections", "log_disconnections"):
            if not (node := _get(values, name)).on:
                yield violation(node)
        if resource.type == CLUSTER:
            continue
        collected = _get(values, "logging_collector")
        destination = _get(values, "log_destination").text
        prefix = _get(values, "log_line_prefix")
        if "jsonlog" not in destination and not {"%m", "%u", "%d"} <= set(
            re.findall("%[a-z]", prefix.text)
        ):
            yield violation(prefix, "expected at least %m, %u and %d")
        if collected.on:
            if (mode := _get(values, "log_file_mode")).text not in ("", "0600"):
                yield violation(mode)
        elif "stderr" not in destination:
            yield violation(collected)


def _limited_role(resource: Resource, _context: Context) -> Found:
    if resource.type == CLUSTER:
        for role in resource.props["spec.managed.roles"]:
            yield from _role(role, ("superuser", "createrole"), _context)
        return
    if resource.type == ROLE:
        yield from _role(resource.props, ("superuser", "createRole"), _context)
        return
    role = resource.props["role"]
    if role.text == "public" and not resource.props["privileges"].missing:
        yield violation(role)


def _role(role: Node, flags: tuple[str, ...], context: Context) -> Found:
    if role["name"].text in context.settings["administrators"]:
        return
    for flag in flags:
        if role[flag].on:
            yield violation(role[flag])
    limit = role["connectionLimit"]
    may_log_in = role["login"]
    if may_log_in.on and (limit.number is None or limit.number < 0):
        yield violation(limit)


def _safe_cluster(resource: Resource, _context: Context) -> Found:
    if resource.type == CLUSTER:
        spec = resource.props["spec"]
        if not spec["bootstrap.recovery"].missing:
            pass  # the checksums are those of the backup
        elif not (sums := spec["bootstrap.initdb.dataChecksums"]).on:
            yield violation(sums)
        if spec["backup"].missing and spec["plugins"].missing:
            yield violation(spec["backup"])
        elif not spec["backup"].missing and (keep := spec["backup.retentionPolicy"]).missing:
            yield violation(keep)
        return
    for values in _settings(resource):
        words = [word.text for word in arguments(resource)]
        words += [word.text for step in resource.props["init"] for word in step["command"]]
        words += [
            value.text for name, value in variables(resource) if name.endswith("INITDB_ARGS")
        ]
        if resource.type in (PROCESS, "docker:index/container:Container") and not any(
            "data-checksums" in word or word == "-k" for word in words
        ):
            yield offence("init", "no --data-checksums")
        archive = _get(values, "archive_mode")
        if archive.text not in ("on", "always"):
            yield violation(archive)


def _verified(resource: Resource, stack: Stack, context: Context) -> Found:
    if resource.type == PROVIDER:
        if (mode := resource.props["sslmode"]).text != "verify-full":
            yield violation(mode, of=resource)
    elif resource.type == AIRBYTE_SOURCE:
        given = resource.props["configuration"]
        if given["sourceType"].text == "postgres":
            if (mode := given["ssl_mode.mode"]).text not in ("verify-full", "verify_full"):
                yield violation(mode, of=resource)
    else:
        connections = partial(_connections, defaults=list(_defaults(resource, stack)))
        yield from each(connections, partial(_verifies, resource=resource))(resource, context)


def _connections(resource: Resource, defaults: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """Each connection of a program, with what it verifies where its settings do not say."""
    for connection in _settings_of_connections(resource):
        for default in defaults:
            yield connection, default


def _defaults(resource: Resource, stack: Stack) -> Iterator[Node]:
    """PGSSLMODE, which libpq reads: of the program, and of each that reads a ConfigMap, or the
    volume that a container was made to fill."""
    programs = [resource]
    if resource.type == CONFIG_MAP:
        programs = [one for one in stack.of(*PODS) if _mounts(one, resource)] or programs
    elif resource.type == DOCKER_CONTAINER and resource.props["start"].value is False:
        filled = _volumes(resource)
        others = (one for one in stack.of(DOCKER_CONTAINER) if one.name != resource.name)
        programs = [one for one in others if filled & _volumes(one)] or programs
    for one in programs:
        found = dict(variables(one)) if one.type != CONFIG_MAP else {}
        yield setting(found, "PGSSLMODE", "environment")


def _mounts(workload: Resource, config_map: Resource) -> bool:
    name = known_text(config_map.props["metadata.name"])
    volumes = list(pod(workload).spec["volumes"])
    sources = [source for volume in volumes for source in volume["projected.sources"]]
    return name in {known_text(one["configMap.name"]) for one in (*volumes, *sources)} - {""}


def _volumes(container: Resource) -> set[str]:
    return {mount["source"].text for mount in container.props["mounts"]} - {""}


def _settings_of_connections(resource: Resource) -> Iterator[Node]:
    """In configuration files, and addresses in variables."""
    for file in files(resource):
        if file.name.endswith(".json") and known_text(file.text):
            yield from _databases(file.text.parsed())
    for name, value in variables(resource) if resource.type in STARTED else ():
        if value.known and value.text.startswith(("postgresql:", "postgres:", "postgresql+")):
            yield Node({"url": value.text}, f"{value.path or name}", secret=value.secret)


def _databases(node: Node) -> Iterator[Node]:
    if not node["dbname"].missing:
        yield node
        return
    for _, member in node.items():
        if member.known:
            yield from _databases(member)


def _verifies(of: tuple[Node, Node], _context: Context, resource: Resource) -> Found:
    connection, default = of
    if url := connection["url"].text:
        given = dict(parse_qsl(urlsplit(url).query)).get("sslmode", "")
        mode = connection["url"].derived(given or None, f"{connection.path} sslmode")
    else:
        mode = connection["sslmode"]
    if (mode if mode.value is not None else default).text != "verify-full":
        yield violation(mode, of=resource)


def _operator(resource: Resource, _context: Context) -> Found:
    spec = resource.props["spec"]
    if (access := spec["enableSuperuserAccess"]).on:
        yield violation(access)
    if not (tls := spec["monitoring.tls.enabled"]).on:
        yield violation(tls)


RULES = (
    Rule(
        id="P01",
        title="The server speaks TLS 1.2 or newer, and nothing else.",
        why="Passwords and rows would cross the network in clear.",
        fix="set ssl = on and ssl_min_protocol_version; let clients in by hostssl lines only",
        severity=Severity.HIGH,
        types=(*CONFIGURED, CLUSTER),
        check=_tls,
    ),
    Rule(
        id="P02",
        title="Clients log in by scram-sha-256, from addresses that are listed.",
        why="trust asks for nothing, md5 can be replayed, and a wide address lets the network in.",
        fix="use scram-sha-256 or cert, and the addresses of the services",
        severity=Severity.HIGH,
        types=(*CONFIGURED, CLUSTER),
        check=_authentication,
    ),
    Rule(
        id="P03",
        title="Changes of schema, roles and data are audited.",
        why="Without an audit log nobody knows who changed what.",
        fix="load pgaudit, set pgaudit.log to ddl, role, write, and log_destination to jsonlog",
        severity=Severity.HIGH,
        types=(*CONFIGURED, CLUSTER),
        check=_audit,
        local_gap="the embeddable server has no pgaudit",
    ),
    Rule(
        id="P04",
        title="Connections are logged, with who, where and when.",
        why="A stolen password shows in the log of connections first.",
        fix="set log_connections, log_disconnections, a log_line_prefix, and log_file_mode 0600",
        severity=Severity.MEDIUM,
        types=(*CONFIGURED, CLUSTER),
        check=_logged,
    ),
    Rule(
        id="P05",
        title="Roles of services are limited, and PUBLIC has no rights.",
        why="A service that is taken over must not create roles, nor use every connection.",
        fix="set superuser and createRole to false and a connectionLimit; grant to a named role",
        severity=Severity.HIGH,
        types=(ROLE, *GRANTS, CLUSTER),
        check=_limited_role,
        settings={"administrators": names((), "Roles that administer the server.")},
    ),
    Rule(
        id="P06",
        title="Pages have checksums, and the log is archived.",
        why="Without checksums a failing disk damages data unseen; without an archive it is lost.",
        fix="initialise with --data-checksums; set archive_mode, or a backup with retentionPolicy",
        severity=Severity.HIGH,
        types=(*CONFIGURED, CLUSTER),
        check=_safe_cluster,
        local_gap="one machine has no second place to archive to",
    ),
    Rule(
        id="P07",
        title="Clients verify the server.",
        why="A client that does not would send its password to anybody who answers.",
        fix="set sslmode to verify-full, with the stack's CA",
        severity=Severity.HIGH,
        stack=each_of(PROVIDER, AIRBYTE_SOURCE, *CONFIGURED, *PODS, check=_verified),
    ),
    Rule(
        id="P08",
        title="The operator keeps the superuser to itself, and its metrics speak TLS.",
        why="A superuser's password in a Secret is one more way in.",
        fix="set enableSuperuserAccess to false and monitoring.tls.enabled to true",
        severity=Severity.MEDIUM,
        types=(CLUSTER,),
        check=_operator,
    ),
)
