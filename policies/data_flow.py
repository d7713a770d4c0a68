"""Rules on the flow itself: personal data, grants, residency, retention, who sees dashboards."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from flow.model import Chart, Layer
from policies.model import Context, Found, Rule, Severity, Stack, Violation, offence, violation
from policies.values import Node, NotKnown

if TYPE_CHECKING:
    from policies.lineage import Columns, Origin

DESTINATION = "pulumi-python:dynamic/dataflow/airbyte:Destination"
GRANT = "pulumi-python:dynamic/dataflow/dremio:Grant"
BUCKET = "minio:index/s3Bucket:S3Bucket"
LIFECYCLE = "minio:index/ilmPolicy:IlmPolicy"
SUPERSET_ROLE = "pulumi-python:dynamic/dataflow/superset:Role"
DASHBOARD = "pulumi-python:dynamic/dataflow/superset:Dashboard"
PUBLIC = "public"
EVERYTHING = re.compile(r"(all_database_access|all_datasource_access|all_query_access)\b")


def _personal(stack: Stack) -> "dict[str, Columns]":
    from policies.lineage import personal_data  # sqlglot takes a while to import

    assert stack.flow is not None  # noqa: S101 - for the type checker
    return personal_data(stack.flow, stack.models)


def _named(stack: Stack) -> dict[str, set[str]]:
    """Dataset -> the roles that may read the personal data of its streams."""
    assert stack.flow is not None  # noqa: S101 - for the type checker
    return {stream.dataset: set(stream.pii_readers) for stream in stack.flow.streams}


def _unmasked(stack: Stack, _context: Context) -> Found:
    flow = stack.flow
    if flow is None or not any(stream.pii for stream in flow.streams):
        return
    personal, readers = _personal(stack), _named(stack)
    for model in flow.models:
        if model.layer is Layer.GOLD:
            for column, origins in personal.get(model.name, {}).items():
                for origin in sorted(origins):
                    if not readers[origin.dataset]:
                        yield _leak(f"gold.{model.name}.{column}", origin)
    for board in flow.dashboards:
        for chart in board.charts:
            columns = personal.get(chart.dataset.rpartition(".")[2], {})
            for column in sorted(_used(chart) & set(columns)):
                for origin in sorted(columns[column]):
                    if not readers[origin.dataset]:
                        yield _leak(f"dashboard {board.slug}/{chart.name} {column}", origin)


def _leak(place: str, origin: "Origin") -> Violation:
    return offence(f"{place} shows {origin}")


def _used(chart: Chart) -> set[str]:
    """Columns that a chart shows, lower case. A count of a column does not show it."""
    metric = re.sub(r"(?i)count\s*\([^)]*\)", "", chart.metric)
    return {
        name.lower() for name in (*chart.columns, chart.dimension, *re.findall(r"\w+", metric))
    }


def _least(stack: Stack, context: Context) -> Found:
    if stack.flow is None or not any(stack.of(GRANT, SUPERSET_ROLE)):
        return
    personal, readers = _personal(stack), _named(stack)
    layers = stack.flow.layers()
    for resource in stack.of(GRANT):
        try:
            path = [part.text for part in resource.props["path"]]
            allowed = _allowed(path, personal, readers, layers)
            for grant in resource.props["grants"]:
                if allowed is not None and grant["name"].text not in allowed:
                    yield violation(grant["name"], f"reads {'.'.join(path)}", resource)
        except NotKnown:
            continue
    for resource in stack.of(SUPERSET_ROLE):
        try:
            role = resource.props["name"].text
            for permission in resource.props["permissions"]:
                if EVERYTHING.match(permission.text):
                    yield violation(permission, of=resource)
                schema = re.match(r"schema_access on .*\[(\w+)\]\s*$", permission.text)
                allowed = _allowed([schema[1]], personal, readers, layers) if schema else None
                if allowed is not None and role not in allowed:
                    yield violation(permission, f"role {resource.props['name'].shown()}", resource)
        except NotKnown:
            continue


def _allowed(
    path: list[str],
    personal: "Mapping[str, Columns]",
    readers: dict[str, set[str]],
    layers: Mapping[str, Layer],
) -> set[str] | None:
    """Who may read what is at a path of Dremio: None for everybody, as no personal data is."""
    if len(path) != 1:
        datasets = set(path[-1:])
    else:
        datasets = {name for name, layer in layers.items() if layer.value == path[0]}
    origins = {
        origin
        for dataset in datasets
        for found in personal.get(dataset, {}).values()
        for origin in found
    }
    if not origins:
        return None
    return set.intersection(*(readers[origin.dataset] for origin in origins))


def _resident(stack: Stack, _context: Context) -> Found:
    if stack.flow is None:
        return
    regions = stack.flow.residency
    if not regions:
        yield offence(f"flow {stack.flow.name} residency")
        return
    for resource in stack.of(DESTINATION):
        region = resource.props["configuration.s3_bucket_region"]
        if region.known and region.value is not None and region.text not in regions:
            yield violation(region, f"expected one of {', '.join(regions)}", resource)


def _bounded(stack: Stack, _context: Context) -> Found:
    if stack.flow is None:
        return
    try:
        expiring = dict(_expirations(stack))
        stores = any(stack.of(BUCKET))  # else it is another stack's, with its life cycle rules
    except NotKnown:
        return
    for stream in stack.flow.streams:
        place = f"stream {stream.source}.{stream.name} retention_days"
        if not stream.pii:
            continue
        if stream.retention_days is None:
            yield offence(place)
        elif stores and not any(
            f"bronze/{stream.source}/{stream.name}/".startswith(prefix)
            and days <= stream.retention_days
            for prefix, days in expiring.items()
        ):
            detail = "no life cycle rule of the bucket deletes its files"
            yield violation(Node(stream.retention_days, place), detail)


def _expirations(stack: Stack) -> Iterator[tuple[str, int]]:
    """Prefix -> days after which a life cycle rule deletes what is below."""
    for policy in stack.of(LIFECYCLE):
        for rule in policy.props["rules"]:
            if match := re.fullmatch(r"(\d+)d", rule["expiration"].text):
                yield rule["filter"].text, int(match[1])


def _not_public(stack: Stack, _context: Context) -> Found:
    for resource in stack.of(DASHBOARD):
        roles = resource.props["roles"]
        if roles.known:
            for role in roles:
                if role.known and role.text.lower() == PUBLIC:
                    yield violation(role, of=resource)
    for resource in stack.of(SUPERSET_ROLE):
        if resource.props["name"].known and resource.props["name"].text.lower() == PUBLIC:
            yield violation(resource.props["name"], of=resource)
    for stream in stack.flow.streams if stack.flow else ():
        if PUBLIC in (reader.lower() for reader in stream.pii_readers):
            yield offence(f"stream {stream.source}.{stream.name} pii_readers")


RULES = (
    Rule(
        id="F01",
        title="Personal data reaches gold or a dashboard only when the flow names its readers.",
        why="What is in gold is read by everybody who may look at reports.",
        fix="mask the column in a model (such as SHA256), or name its readers: pii_readers",
        severity=Severity.HIGH,
        stack=_unmasked,
    ),
    Rule(
        id="F02",
        title="Grants on personal data are for the readers that the flow names.",
        why="A grant that the flow does not know of is one that nobody reviewed.",
        fix="add the role to pii_readers of the stream, or take the grant back",
        severity=Severity.HIGH,
        stack=_least,
    ),
    Rule(
        id="F03",
        title="Data stays in the regions that the flow names.",
        why="Law or contract says where data may be; a destination elsewhere breaks it.",
        fix="set residency of the flow, and a destination in one of its regions",
        severity=Severity.MEDIUM,
        stack=_resident,
    ),
    Rule(
        id="F04",
        title="Personal data is deleted in time.",
        why="It may be kept only for as long as it is needed.",
        fix="set retention_days of the stream",
        severity=Severity.MEDIUM,
        stack=_bounded,
    ),
    Rule(
        id="F05",
        title="No dashboard is public.",
        why="Whoever finds the address would see the numbers, without a log-in.",
        fix="name roles of users who log in",
        severity=Severity.HIGH,
        stack=_not_public,
    ),
)
