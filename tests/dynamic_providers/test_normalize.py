"""Canonical inputs: the same for every way of saying the same thing, and refused when wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamic_providers.airbyte import (
    connection,
    declarative_definition,
    destination,
    source,
    source_definition,
    sync,
    tag,
)
from dynamic_providers.canonical import only_known_keys, secret_texts, unmasked
from dynamic_providers.dremio import (
    aggregation_reflection,
    catalog,
    first_user,
    folder,
    physical_dataset,
    raw_reflection,
    space,
    view,
)
from dynamic_providers.dremio import source as dremio_source
from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.superset import chart, dashboard, database, dataset

NAMES = st.text("abcde_", min_size=1, max_size=6)
NAMED = st.one_of(NAMES, st.just(UNKNOWN))
UUID = "0d5f4c52-68ac-4d6c-9a1f-1a2b3c4d5e6f"


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
    {"name": NAMED, "syncMode": st.sampled_from(connection.SYNC_MODES)},
    optional={
        "namespace": NAMES,
        "cursorField": st.one_of(NAMED, st.lists(NAMES, max_size=2)),
        "primaryKey": st.one_of(NAMES, st.lists(st.one_of(NAMES, st.lists(NAMES)), max_size=3)),
        "selectedFields": st.lists(NAMES, max_size=4),
    },
).map(_with_needed_fields)
CONNECTION = st.fixed_dictionaries(
    {
        "name": NAMED,
        "sourceId": NAMED,
        "destinationId": NAMED,
        "streams": st.one_of(
            st.just(UNKNOWN),
            st.lists(STREAM, min_size=1, max_size=5, unique_by=lambda s: s["name"]),
        ),
    },
    optional={
        "prefix": NAMES,
        "status": st.sampled_from(connection.CHOICES["status"]),
        "schedule": st.sampled_from(
            [
                {"scheduleType": "manual"},
                {"scheduleType": "cron", "cronExpression": " 0 0  1 * * ? UTC"},
                {"scheduleType": "cron", "cronExpression": UNKNOWN},
            ]
        ),
    },
)
REFLECTION_LAYOUT = {
    "sortFields": st.lists(NAMES, max_size=3),
    "distributionFields": st.lists(NAMES, max_size=3),
    "partitionFields": st.lists(
        st.one_of(
            NAMED, st.fixed_dictionaries({"name": NAMES}, optional={"transform": st.just("MONTH")})
        ),
        max_size=3,
    ),
    "timeoutS": st.sampled_from([5, 600.0]),
}
PATH = st.lists(NAMES, min_size=2, max_size=4)
RAW = st.fixed_dictionaries(
    {"name": NAMED, "datasetPath": PATH, "displayFields": st.lists(NAMED, min_size=1)},
    optional=REFLECTION_LAYOUT,
)
AGGREGATION = st.fixed_dictionaries(
    {
        "name": NAMED,
        "datasetPath": st.one_of(PATH, st.just(UNKNOWN)),
        "dimensionFields": st.lists(
            st.one_of(
                NAMED,
                st.fixed_dictionaries(
                    {"name": NAMES}, optional={"granularity": st.sampled_from(["DATE", "NORMAL"])}
                ),
            ),
            min_size=1,
        ),
    },
    optional={
        **REFLECTION_LAYOUT,
        "measureFields": st.lists(
            st.fixed_dictionaries(
                {"name": NAMED},
                optional={
                    "measureTypeList": st.lists(
                        st.sampled_from(aggregation_reflection.MEASURES), unique=True
                    )
                },
            )
        ),
    },
)
DASHBOARD = st.fixed_dictionaries(
    {
        "slug": NAMED,
        "title": NAMED,
        "rows": st.lists(
            st.lists(
                st.one_of(
                    st.just(UNKNOWN),
                    st.just(UUID.upper()),
                    st.fixed_dictionaries(
                        {"chart": st.just(UUID)}, optional={"width": st.just(2.0)}
                    ),
                ),
                min_size=1,
                max_size=4,
            )
        ),
    }
)


@given(CONNECTION)
def test_connection(raw):
    spec = connection.normalize(raw)
    assert connection.normalize(spec) == spec
    if isinstance(raw["streams"], list):
        turned = {**raw, "streams": raw["streams"][::-1]}
        assert connection.normalize(turned) == spec


@given(RAW)
def test_raw_reflection(raw):
    spec = raw_reflection.normalize(raw)
    assert raw_reflection.normalize(spec) == spec
    turned = {**raw, "displayFields": raw["displayFields"][::-1]}
    assert raw_reflection.normalize(turned) == spec


@given(AGGREGATION)
def test_aggregation_reflection(raw):
    spec = aggregation_reflection.normalize(raw)
    assert aggregation_reflection.normalize(spec) == spec


@given(DASHBOARD)
def test_dashboard(raw):
    spec = dashboard.normalize(raw)
    assert dashboard.normalize(spec) == spec


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_path_comes_back_from_its_sql_spelling(parts):
    assert catalog.parts_of(catalog.dotted(parts)) == parts


def test_keys_in_every_spelling_are_one():
    def key(value):
        raw = {"name": "orders", "syncMode": "incremental_append", "primaryKey": value}
        spec = {"name": "c", "sourceId": "s", "destinationId": "d", "streams": [raw]}
        return connection.normalize(spec)["streams"][0]["primaryKey"]

    assert key("id") == key(["id"]) == key([["id"]]) == [["id"]]
    assert key(["id", "day"]) == [["id"], ["day"]]


CONNECTED = {"name": "c", "sourceId": "s", "destinationId": "d"}
S3_DEDUP = [{"name": "orders", "syncMode": "incremental_deduped_history"}]
TWICE = [{"name": "a", "syncMode": "full_refresh_append"}] * 2
CRON = {"scheduleType": "cron"}
REFLECTED = {"name": "r", "datasetPath": ["a", "b"]}


@pytest.mark.parametrize(
    ("handler", "raw", "field", "says"),
    [
        (source, {"configuration": {"sourceType": "faker"}}, "name", "missing"),
        (source, {"name": "x", "configuration": {}}, "configuration", "sourceType"),
        (source, {"name": "x", "configuration": {}, "nmae": 1}, "nmae", "one of name"),
        (destination, {"name": "x", "configuration": "s3"}, "configuration", "an object"),
        (connection, {**CONNECTED, "streams": []}, "streams", "one entry"),
        (connection, {**CONNECTED, "streams": TWICE}, "streams", "'a' is listed twice"),
        (
            connection,
            {**CONNECTED, "destinationType": "s3", "streams": S3_DEDUP},
            "streams[0].syncMode",
            "incremental_append",
        ),
        (
            connection,
            {
                **CONNECTED,
                "streams": [
                    {
                        "name": "a",
                        "syncMode": "incremental_append",
                        "cursorField": "at",
                        "selectedFields": ["id"],
                    }
                ],
            },
            "streams[0].selectedFields",
            "'at' is missing",
        ),
        (
            connection,
            {**CONNECTED, "streams": TWICE[:1], "namespaceFormat": "x"},
            "namespaceFormat",
            "not used with namespaceDefinition 'destination'",
        ),
        (
            connection,
            {
                **CONNECTED,
                "streams": TWICE[:1],
                "schedule": {"scheduleType": "basic", "units": 1, "timeUnit": "fortnights"},
            },
            "schedule.timeUnit",
            "minutes",
        ),
        (
            connection,
            {
                **CONNECTED,
                "streams": TWICE[:1],
                "schedule": {
                    **CRON,
                    "cronExpression": "0 0 1 * * ?",
                    "cronTimeZone": "Europe/Rom",
                },
            },
            "schedule.cronTimeZone",
            "such as Europe/Rome",
        ),
        (tag, {"name": "gold", "color": "gold"}, "color", "six hexadecimal digits"),
        (
            source_definition,
            {"name": "x", "dockerRepository": "a/b:1", "dockerImageTag": "1"},
            "dockerRepository",
            "set dockerImageTag",
        ),
        (
            declarative_definition,
            {"name": "x", "manifest": {"type": "Other"}},
            "manifest.type",
            "DeclarativeSource",
        ),
        (
            connection,
            {
                **CONNECTED,
                "streams": TWICE[:1],
                "schedule": {**CRON, "cronExpression": "0 1 * * *"},
            },
            "schedule.cronExpression",
            "6 or 7 fields",
        ),
        (
            connection,
            {
                **CONNECTED,
                "streams": TWICE[:1],
                "schedule": {**CRON, "cronExpression": "0 0 1 * * ? Europe/Rome"},
            },
            "schedule.cronExpression",
            "UTC",
        ),
        (sync, {"connectionId": "c", "timeoutS": 0}, "timeoutS", "1 or more"),
        (first_user, {"userName": "root"}, "userName", "'admin'"),
        (space, {"name": "a.b"}, "name", "must not contain ."),
        (folder, {"path": ["alone"]}, "path", "2 parts"),
        (
            dremio_source,
            {
                "name": "lake",
                "type": "S3",
                "config": dremio_source.minio_config("http://h:9000", "a", "s", ["b"]),
            },
            "config.propertyList[1].value",
            "without a scheme",
        ),
        (
            dremio_source,
            {"name": "l", "type": "S3", "config": {}, "accelerationRefreshPeriodMs": 60_000},
            "accelerationRefreshPeriodMs",
            "3600000 or more",
        ),
        (physical_dataset, {"path": ["a", "b"], "format": {"type": "CSV"}}, "format.type", "Text"),
        (view, {"path": ["a", "b"], "sql": " "}, "sql", "not empty"),
        (raw_reflection, REFLECTED, "displayFields", "missing"),
        (
            aggregation_reflection,
            {
                **REFLECTED,
                "dimensionFields": ["a"],
                "measureFields": [{"name": "x", "measureTypeList": ["AVG"]}],
            },
            "measureFields[0].measureTypeList",
            "SUM",
        ),
        (database, {"name": "d", "sqlalchemyUri": "hunter2"}, "sqlalchemyUri", "dialect://"),
        (
            dataset,
            {"databaseUuid": "7", "schema": "s", "tableName": "t"},
            "databaseUuid",
            "a UUID",
        ),
        (
            chart,
            {"name": "c", "vizType": "line", "datasetUuid": UUID},
            "vizType",
            "echarts_timeseries_line",
        ),
        (
            dashboard,
            {"slug": "s", "title": "t", "rows": [[{"chart": UUID, "width": 7}] * 2]},
            "rows[0]",
            "12 columns or fewer",
        ),
    ],
)
def test_a_wrong_input_is_named_with_the_valid_choices(handler, raw, field, says):
    with pytest.raises(InputError) as raised:
        handler.normalize(raw)
    assert raised.value.field == field
    assert says in raised.value.reason
    assert "hunter2" not in str(raised.value)


def test_server_defaults_and_masks_are_no_drift():
    known = {"host": "a", "password": "secret1", "list": [{"key": "k1"}]}
    live = {"host": "b", "password": "***", "list": [{"key": "***", "x": 1}], "added": True}
    shown = only_known_keys(unmasked(live, known, "***"), known)
    assert shown == {"host": "b", "password": "secret1", "list": [{"key": "k1"}]}


def test_a_mask_without_a_known_value_stays_visible():
    assert unmasked({"password": "***"}, {}, "***") == {"password": "***"}


def test_secret_texts_include_passwords_in_urls():
    value = {"uri": "pg://user:pa55word@host/db", "nested": ["longer-secret"], "port": 1}
    assert set(secret_texts(value)) == {value["uri"], "pa55word", "longer-secret"}
