"""Rules on Airbyte: its installation, and its connections."""

import re
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
    number,
    violation,
)
from policies.reading import CONFIGURED, PODS, STARTED, files_named, variables
from policies.values import Node

CHARTS = ("kubernetes:helm.sh/*:Release", "kubernetes:helm.sh/*:Chart")
CONNECTION = "pulumi-python:dynamic/dataflow/airbyte:Connection"
DESTINATION = "pulumi-python:dynamic/dataflow/airbyte:Destination"
# Of Airbyte, and of its older versions.
RETRIES = re.compile(r"SYNC_JOB_(RETRIES_(COMPLETE|PARTIAL)_FAILURES_MAX_TOTAL|MAX_ATTEMPTS)")
EMBEDDED = "airbyte.json"  # settings of the embedded engine


def _values(resource: Resource) -> Iterator[Node]:
    """Values of Airbyte's chart."""
    if resource.props["chart"].text.rpartition("/")[2] == "airbyte":
        yield resource.props["values"]


def _embedded(resource: Resource) -> Iterator[Node]:
    for file in files_named(EMBEDDED)(resource):
        yield file.text.parsed()


def _guarded(resource: Resource, context: Context) -> Found:
    if resource.type.startswith("kubernetes:helm"):
        yield from each(_values, _guarded_chart)(resource, context)
    else:
        for settings in _embedded(resource):
            if not settings["authEnabled"].on:
                yield violation(settings["authEnabled"])


def _guarded_chart(values: Node, _context: Context) -> Found:
    known = values["global"]
    if known["auth.enabled"].off:
        yield violation(known["auth.enabled"])
    if known["auth.cookieSecureSetting"].off:
        yield violation(known["auth.cookieSecureSetting"])
    if not (url := known["airbyteUrl"]).text.startswith("https://"):
        yield violation(url)


def _external_stores(values: Node, _context: Context) -> Found:
    for name in ("minio", "postgresql"):
        if not values[name]["enabled"].off:
            yield violation(values[name]["enabled"])
    if (kind := values["global.database.type"]).text != "external":
        yield violation(kind)
    if (kind := values["global.storage.type"]).text.lower() in ("", "minio"):
        yield violation(kind)


def _kept_secrets(resource: Resource, context: Context) -> Found:
    if resource.type.startswith("kubernetes:helm"):
        yield from each(_values, _kept_chart)(resource, context)
        return
    for name, value in variables(resource):
        if name == "TRACKING_STRATEGY" and value.text != "logging":
            yield violation(value)


def _kept_chart(values: Node, _context: Context) -> Found:
    known = values["global"]
    manager = known["secretsManager"]
    if manager.missing or manager["enabled"].off:
        yield violation(manager)
    if (tracking := known["tracking.strategy"]).text != "logging":
        yield violation(tracking)


def _complete(connection: Resource, stack: Stack, _context: Context) -> Found:
    props = connection.props
    if (kind := props["schedule.scheduleType"]).text not in ("manual", "cron", "basic"):
        yield violation(kind, of=connection)
    for stream in props["streams"]:
        mode = stream["syncMode"].text
        for word, key in (("incremental", "cursorField"), ("dedup", "primaryKey")):
            # What the source defines itself is left out on purpose for full refreshes only.
            if word in mode and stream[key].missing:
                yield violation(stream[key], f"sync mode {mode}", connection)


def _retries(resource: Resource) -> Iterator[Node]:
    """The settings of how often a sync is tried."""
    for settings in _embedded(resource):
        yield settings["maxAttempts"]
    for values in _values(resource):
        given = values["global.env_vars"].items()
        yield from (value for name, value in given if RETRIES.fullmatch(name))
    if matches(resource.type, STARTED):
        yield from (value for name, value in variables(resource) if RETRIES.fullmatch(name))


def _bounded(resource: Resource, _stack: Stack, context: Context) -> Found:
    most = context.settings["attempts"]
    for tries in _retries(resource):
        if not tries.missing and not 1 <= (tries.number or 0) <= most:
            yield violation(tries, f"expected 1 to {most}", resource)


def _into_bronze(destination: Resource, _stack: Stack, _context: Context) -> Found:
    path = destination.props["configuration.s3_bucket_path"]
    if path.value is not None and path.text.partition("/")[0] != "bronze":
        yield violation(path, of=destination)


def _connections(stack: Stack, context: Context) -> Found:
    yield from each_of(CONNECTION, check=_complete)(stack, context)
    yield from each_of(DESTINATION, check=_into_bronze)(stack, context)
    yield from each_of(*CHARTS, *CONFIGURED, *PODS, check=_bounded)(stack, context)


RULES = (
    Rule(
        id="A01",
        title="Airbyte asks who is there, over https.",
        why="Its API starts syncs and shows the settings of every source.",
        fix="leave auth.enabled and cookieSecureSetting on, and set airbyteUrl to https",
        severity=Severity.HIGH,
        types=(*CHARTS, *CONFIGURED),
        check=_guarded,
    ),
    Rule(
        id="A02",
        title="Airbyte keeps its data in the platform's PostgreSQL and object store.",
        why="The chart's own stores have public passwords, no backup and no TLS.",
        fix="disable minio and postgresql; set database.type external and storage.type s3",
        severity=Severity.HIGH,
        types=CHARTS,
        check=each(_values, _external_stores),
    ),
    Rule(
        id="A03",
        title="Passwords of sources are in a secrets manager, and nothing is reported outside.",
        why="Otherwise they are in clear text in Airbyte's database.",
        fix="set global.secretsManager, and tracking.strategy (TRACKING_STRATEGY) to logging",
        severity=Severity.HIGH,
        types=(*CHARTS, *STARTED),
        check=_kept_secrets,
    ),
    Rule(
        id="A04",
        title="Connections are complete, write to bronze, and give up in the end.",
        why="A stream without cursor or key is copied twice, or loses what changed; a sync that "
        "is tried for ever hides that it fails.",
        fix="set schedule, cursorField and primaryKey, a path below bronze/, and bounded attempts",
        severity=Severity.MEDIUM,
        stack=_connections,
        settings={"attempts": number(20, "Most attempts of a sync: Airbyte's own bound.")},
    ),
)
