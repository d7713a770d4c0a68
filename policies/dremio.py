"""Rules on Dremio: its transport, sources, grants and reflections."""

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
    names,
    offence,
    violation,
)
from policies.reading import CONFIGURED, files_named
from policies.values import Node

SOURCE = "pulumi-python:dynamic/dataflow/dremio:Source"
GRANT = "pulumi-python:dynamic/dataflow/dremio:Grant"
RAW_REFLECTION = "pulumi-python:dynamic/dataflow/dremio:RawReflection"
EMBEDDED = "dremio.json"  # settings of the embedded engine
NEVER = "NEVER"


def _encrypted(resource: Resource, context: Context) -> Found:
    if resource.type != SOURCE:
        yield from each(files_named(EMBEDDED), _embedded)(resource, context)
        yield from each(files_named("dremio.conf"), _product)(resource, context)
        return
    config = resource.props["config"]
    if resource.props["type"].text == "S3" and not config["secure"].on:
        yield violation(config["secure"])
    for name in ("accessSecret", "password"):
        if not config[name].missing and not config[name].secret:
            yield offence(config[name].path, "not marked as a secret")


def _embedded(file: object, _context: Context) -> Found:
    settings = file.text.parsed()  # type: ignore[attr-defined]
    if settings["tls"].missing and settings["certificateFile"].missing:
        yield violation(settings["tls"])


def _product(file: object, _context: Context) -> Found:
    text: Node = file.text  # type: ignore[attr-defined]
    flat = "".join(text.text.split())
    if any(f"services.coordinator.enabled{sign}false" in flat for sign in ":="):
        return  # executors serve nobody but their coordinator
    for area in ("web", "flight"):
        wanted = (f"services.coordinator.{area}.ssl.enabled", f"services.{area}.ssl.enabled")
        if not any(f"{name}{sign}true" in flat for name in wanted for sign in ":="):
            yield offence(f"{text.path} {wanted[0]}")


def _grants(resource: Resource) -> Iterator[tuple[Node, Node]]:
    for grant in resource.props["grants"]:
        yield resource.props["path"], grant


def _least_grant(grant: tuple[Node, Node], context: Context) -> Found:
    path, given = grant
    if given["name"].text.upper() == "PUBLIC":
        yield violation(given["name"])
    if given["name"].text in context.settings["readers"]:
        for privilege in given["privileges"]:
            if privilege.text != "SELECT":
                yield violation(privilege, "a reader needs SELECT only")
        if path[0].text != "gold":
            yield violation(path, f"outside gold, to {given['name'].shown()}")


def _bounded(resource: Resource, _stack: Stack, _context: Context) -> Found:
    kind = resource.props["accelerationActivePolicyType"]
    if kind.text in ("", NEVER):
        yield violation(kind, of=resource)
    for key in ("accelerationRefreshPeriodMs", "accelerationGracePeriodMs"):
        if (period := resource.props[key]).number == 0:
            yield violation(period, of=resource)


def _no_personal_data(reflection: Resource, stack: Stack, _context: Context) -> Found:
    """Of bronze: who may read a reflection cannot be told apart from who may read its table."""
    path = reflection.props["datasetPath"].texts()
    if stack.flow is None or path[:1] != ["bronze"]:
        return
    for stream in stack.flow.streams:
        if stream.dataset != path[-1] or stream.pii_readers:
            continue
        for column in reflection.props["displayFields"]:
            if column.text in stream.pii:
                yield violation(column, "personal data that nobody is named for", reflection)


def _reflections(stack: Stack, context: Context) -> Found:
    yield from each_of(SOURCE, check=_bounded)(stack, context)
    yield from each_of(RAW_REFLECTION, check=_no_personal_data)(stack, context)


RULES = (
    Rule(
        id="R01",
        title="Dremio serves over TLS, and reads the object store over TLS.",
        why="Passwords and results would cross the network in clear.",
        fix="set certificates of web and Flight; set secure on the source; mark its secret",
        severity=Severity.HIGH,
        types=(SOURCE, *CONFIGURED),
        check=_encrypted,
    ),
    Rule(
        id="R02",
        title="Nothing is granted to PUBLIC; readers may only select, and only in gold.",
        why="bronze holds personal data, and a reader who writes can falsify a report.",
        fix="grant SELECT on gold to a named role",
        severity=Severity.HIGH,
        types=(GRANT,),
        check=each(_grants, _least_grant),
        settings={"readers": names(("analyst",), "Roles that only read.")},
    ),
    Rule(
        id="R03",
        title="Reflections are refreshed and expire; none stores personal data of bronze unnamed.",
        why="A reflection that is never refreshed answers with old numbers.",
        fix="set refresh and grace period of the source; name pii_readers in the flow",
        severity=Severity.MEDIUM,
        stack=_reflections,
    ),
)
