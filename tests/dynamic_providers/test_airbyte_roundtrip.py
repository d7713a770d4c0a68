"""Whatever is created reads back as it was asked for: normalize(read(create(x))) ==
normalize(x). Otherwise every preview after a refresh would show a change."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamic_providers.airbyte import connection, destination, schedule, source
from tests.dynamic_providers.cases import made, unique

# One server for all examples: names differ from one to the next.
ROUNDTRIP = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NAMES = st.text("abcDE_-é", min_size=1, max_size=6)
MODES = st.sampled_from(("full_refresh_overwrite", "full_refresh_append", "incremental_append"))


def _with_needed_fields(stream: dict) -> dict:
    """The cursor and the key are among the fields that are selected: the API insists."""
    fields = stream.get("selectedFields")
    if not fields:
        return stream
    paths = [stream.get("cursorField") or [], *(stream.get("primaryKey") or [])]
    if isinstance(stream.get("primaryKey"), str):
        paths = [paths[0], stream["primaryKey"]]
    firsts = [path if isinstance(path, str) else path[0] for path in paths if path]
    return {**stream, "selectedFields": [*fields, *firsts]}


STREAM = st.fixed_dictionaries(
    {"name": NAMES, "syncMode": MODES},
    optional={
        "namespace": NAMES,
        "cursorField": st.one_of(NAMES, st.lists(NAMES, max_size=2)),
        "primaryKey": st.one_of(NAMES, st.lists(st.lists(NAMES, min_size=1), max_size=3)),
        "selectedFields": st.lists(NAMES, max_size=4),
    },
).map(_with_needed_fields)
QUARTZ = st.builds(
    "{} {} {} ? * {}".format,
    st.integers(0, 59),
    st.integers(0, 59),
    st.sampled_from(["*", "*/4", "1,13"]),
    st.sampled_from(["MON", "MON-FRI", "*", "2/2"]),
)
CRON = st.fixed_dictionaries(
    {
        "scheduleType": st.just("cron"),
        "cronExpression": st.one_of(
            QUARTZ, QUARTZ.map("{} UTC".format), QUARTZ.map("{} 2030".format)
        ),
    },
    optional={"cronTimeZone": st.sampled_from(["UTC", "Europe/Rome", "CET"])},
)
BASIC = st.fixed_dictionaries(
    {
        "scheduleType": st.just("basic"),
        "units": st.integers(1, 90).map(float),
        "timeUnit": st.sampled_from(schedule.TIME_UNITS),
    }
)
NAMESPACE = st.sampled_from(
    [
        {},
        {"namespaceDefinition": "source"},
        {"namespaceDefinition": "destination"},
        {"namespaceDefinition": "custom_format", "namespaceFormat": "x_${SOURCE_NAMESPACE}"},
    ]
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "prefix": NAMES,
        "status": st.sampled_from(connection.CHOICES["status"]),
        "schedule": st.one_of(st.just({"scheduleType": "manual"}), CRON, BASIC),
        "nonBreakingSchemaUpdatesBehavior": st.sampled_from(
            connection.CHOICES["nonBreakingSchemaUpdatesBehavior"]
        ),
        "tags": st.sampled_from([[], ["a"], ["b", "a", "b"]]),
        "allowReset": st.booleans(),
        "destinationType": st.just("s3"),
    },
)
STREAMS = st.lists(STREAM, min_size=1, max_size=4, unique_by=lambda stream: stream["name"])

SETTING = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), st.floats(-9, 9), NAMES, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
SETTINGS = st.dictionaries(
    st.sampled_from(["host", "password", "secret_access_key", "tunnel_method", "nested"]), SETTING
)
POSTGRES = st.fixed_dictionaries(
    {
        "sourceType": st.just("postgres"),
        "host": NAMES,
        "port": st.integers(1, 65_535).map(float),
        "database": NAMES,
        "username": NAMES,
    },
    optional={
        "password": NAMES,
        "schemas": st.lists(NAMES, unique=True, max_size=3),
        "ssl_mode": st.just({"mode": "require"}),
        "tunnel_method": st.sampled_from(
            [
                {"tunnel_method": "NO_TUNNEL"},
                {
                    "tunnel_method": "SSH_KEY_AUTH",
                    "tunnel_host": "bastion",
                    "tunnel_port": 22,
                    "tunnel_user": "u",
                    "ssh_key": "KEY",
                },
            ]
        ),
    },
)


@pytest.fixture
def ends(airbyte, airbyte_fake) -> dict[str, str]:
    for label in "ab":
        airbyte_fake.tags[label] = {"tagId": label, "name": label, "color": "75DCFF"}
    raw = {"name": "s", "configuration": airbyte.facts["source"]}
    lake = {"name": "d", "configuration": airbyte.facts["destination"]}
    return {
        "sourceId": made(source, airbyte, raw),
        "destinationId": made(destination, airbyte, lake),
    }


def _comes_back(handler, client, raw: dict) -> None:
    spec = handler.normalize(raw)
    assert handler.normalize(spec) == spec
    live = handler.create(client, spec)
    assert live.inputs == spec
    assert handler.read(client, live.id, spec).inputs == spec
    handler.update(client, live.id, spec, spec)
    assert handler.read(client, live.id, spec).inputs == spec
    handler.delete(client, live.id, spec)


@ROUNDTRIP
@given(streams=STREAMS, options=OPTIONS, namespace=NAMESPACE)
def test_a_connection_comes_back(airbyte, ends, streams, options, namespace):
    raw = {"name": unique("c"), **ends, "streams": streams, **options, **namespace}
    _comes_back(connection, airbyte.client, raw)


@ROUNDTRIP
@given(configuration=st.one_of(POSTGRES, SETTINGS.map(lambda s: {"sourceType": "other", **s})))
def test_a_source_comes_back(airbyte, configuration):
    raw = {"name": unique("s"), "configuration": configuration}
    _comes_back(source, airbyte.client, raw)
