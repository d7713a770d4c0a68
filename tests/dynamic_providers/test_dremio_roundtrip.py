"""normalize(read(create(x))) == normalize(x), for generated inputs of every handler of Dremio.

A field that the server fills in or rewrites would be a difference in each preview.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamic_providers.dremio import (
    aggregation_reflection,
    first_user,
    folder,
    grant,
    physical_dataset,
    raw_reflection,
    role,
    script,
    source,
    space,
    tag,
    user,
    view,
    wiki,
)
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import UNKNOWN
from tests.dynamic_providers.cases import Service, made, unique
from tests.fakes.dremio import Dremio
from tests.fakes.serving import serving

# Each example is a dozen calls to the fake.
few = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = st.text("abcé_ .'-", min_size=1, max_size=6).filter(lambda text: text.strip())
PLAIN = st.text("abcdef", min_size=1, max_size=6)
TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip())
FLAGS = st.booleans()
SIZES = st.sampled_from([1, 8.0, 1000])
PROPERTIES = st.lists(
    st.fixed_dictionaries({"name": PLAIN, "value": TEXTS}),
    max_size=3,
    unique_by=lambda p: p["name"],
)


@pytest.fixture(scope="module")
def fake() -> Dremio:
    fake = Dremio()
    fake.polls_per_build = 0
    return fake


@pytest.fixture(scope="module")
def service(fake) -> Iterator[Service]:
    with ExitStack() as stack:
        client = DremioClient(stack.enter_context(serving(fake.app)), "pa55word-of-the-admin")
        stack.callback(client.close)
        first_user.create(client, first_user.normalize({}))
        made(space, Service(client=client, facts={}), {"name": "gold"})
        for name in ("base", "other"):
            sql = "SELECT 1 AS a, 2 AS b, 3 AS c"
            made(view, Service(client=client, facts={}), {"path": ["gold", name], "sql": sql})
        for name in ("readers", "writers"):
            made(role, Service(client=client, facts={}), {"name": name})
        yield Service(client=client, facts={})


def check(handler: ModuleType, service: Service, raw: dict[str, Any]) -> None:
    spec = handler.normalize(raw)
    assert handler.normalize(spec) == spec
    live = handler.create(service.client, spec)
    found = handler.read(service.client, live.id, spec)
    assert handler.normalize(found.inputs) == spec
    # What an import finds is in the canonical form too, but for secrets and what is local.
    imported = handler.read(service.client, live.id, {}).inputs
    if not handler.SECRETS:
        assert handler.normalize(imported) == imported
    handler.delete(service.client, live.id, spec)
    assert handler.read(service.client, live.id, spec) is None


S3_CONFIG = st.fixed_dictionaries(
    {"credentialType": st.sampled_from(source.CHOICES["credentialType"])},
    optional={
        "accessKey": TEXTS,
        "accessSecret": TEXTS,
        "secure": FLAGS,
        "whitelistedBuckets": st.lists(PLAIN, max_size=4),
        "externalBucketList": st.lists(PLAIN, max_size=4),
        "propertyList": PROPERTIES,
        "secretPropertyList": PROPERTIES,
        "maxCacheSpacePct": SIZES,
        "isCachingEnabled": FLAGS,
        "rootPath": st.just("/data"),
        "compatibilityMode": st.none(),
    },
)
POSTGRES_CONFIG = st.fixed_dictionaries(
    {"hostname": PLAIN, "databaseName": PLAIN},
    optional={
        "port": st.sampled_from(["5432", 5432, 5433.0]),
        "username": PLAIN,
        "password": TEXTS,
        "fetchSize": SIZES,
        "useSsl": FLAGS,
        "encryptionValidationMode": st.sampled_from(source.CHOICES["encryptionValidationMode"]),
    },
)
ELASTIC_CONFIG = st.fixed_dictionaries(
    {
        "hostList": st.lists(
            st.fixed_dictionaries({"hostname": PLAIN, "port": SIZES}), min_size=1, max_size=3
        )
    },
    optional={"authenticationType": st.just("MASTER"), "password": TEXTS, "usePainless": FLAGS},
)
NAS_CONFIG = st.fixed_dictionaries({"path": TEXTS}, optional={"propertyList": PROPERTIES})
OTHER_CONFIG = st.dictionaries(PLAIN, st.one_of(FLAGS, SIZES, TEXTS), max_size=4)
SOURCE = st.sampled_from(
    [
        ("S3", S3_CONFIG),
        ("POSTGRES", POSTGRES_CONFIG),
        ("ELASTIC", ELASTIC_CONFIG),
        ("NAS", NAS_CONFIG),
        ("MONGO", OTHER_CONFIG),
    ]
).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"type": st.just(kind[0]), "config": kind[1]},
        optional={
            "accelerationRefreshPeriodMs": st.sampled_from([3_600_000, 7_200_000.0]),
            "accelerationNeverExpire": FLAGS,
            "accelerationActivePolicyType": st.sampled_from(source.REFRESH_POLICIES),
            "allowMetadataLoss": FLAGS,
            "metadataPolicy": st.fixed_dictionaries(
                {},
                optional={
                    "datasetUpdateMode": st.sampled_from(source.UPDATE_MODES),
                    "namesRefreshMs": SIZES,
                    "autoPromoteDatasets": FLAGS,
                },
            ),
        },
    )
)


@few
@given(raw=SOURCE)
def test_source(service, raw):
    check(source, service, {"name": unique("lake"), **raw})


@given(raw=SOURCE)
def test_the_order_of_sets_in_a_source_does_not_count(raw):
    turned = {
        key: value[::-1] if key in (*source.SETS, *source.PROPERTIES) and value else value
        for key, value in raw["config"].items()
    }
    named = {**raw, "name": "lake"}
    assert source.normalize({**named, "config": turned}) == source.normalize(named)


@few
@given(
    sql=st.sampled_from(["SELECT 1 AS id;\n", "  SELECT 'a;' AS x -- why ;\n , 2 AS y"]),
    context=st.lists(PLAIN, max_size=2),
    breaks=st.sampled_from([{}, {"allowBreakViews": True}, {"allowBreakViews": False}]),
    name=NAMES,
)
def test_view(service, sql, context, breaks, name):
    path = ["gold", f"{unique('v')} {name}"]
    check(view, service, {"path": path, "sql": sql, "sqlContext": context, **breaks})


@few
@given(name=PLAIN)
def test_folder(service, name):
    check(folder, service, {"path": ["gold", unique(name)]})


FORMAT = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("Text")},
        optional={
            "fieldDelimiter": st.sampled_from([",", "\t", "|"]),
            "lineDelimiter": st.sampled_from(["\n", "\r\n"]),
            "quote": st.just('"'),
            "extractHeader": FLAGS,
            "trimHeader": FLAGS,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["Excel", "XLS"])},
        optional={"sheetName": PLAIN, "hasMergedCells": FLAGS},
    ),
    st.fixed_dictionaries(
        {"type": st.just("Parquet")}, optional={"autoCorrectCorruptDates": FLAGS}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["JSON", "Iceberg", "Delta"])}),
)
POLICY = st.fixed_dictionaries(
    {},
    optional={
        "activePolicyType": st.sampled_from(physical_dataset.POLICIES),
        "refreshPeriodMs": st.sampled_from([3_600_000, 7_200_000.0]),
        "method": st.sampled_from(physical_dataset.METHODS),
        "neverExpire": FLAGS,
    },
)


@few
@given(shape=FORMAT, policy=st.one_of(st.none(), POLICY))
def test_physical_dataset(service, fake, shape, policy):
    lake = made(source, service, {"name": unique("lake"), "type": "S3", "config": {}})
    path = [lake, "datalake", "orders"]
    fake.files.add(tuple(path))
    raw = {"path": path, "format": shape, "accelerationRefreshPolicy": policy}
    spec = physical_dataset.normalize(raw)
    live = physical_dataset.create(service.client, spec)
    found = physical_dataset.read(service.client, live.id, spec).inputs
    assert physical_dataset.normalize(found) == spec == physical_dataset.normalize(spec)
    imported = physical_dataset.read(service.client, live.id, {}).inputs
    assert physical_dataset.normalize(imported) == imported


COLUMNS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
PARTITION = st.one_of(
    st.sampled_from("abc"),
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={
            "transform": st.sampled_from(
                [
                    "MONTH",
                    {"type": "YEAR"},
                    {"type": "BUCKET", "bucketTransform": {"bucketCount": 8.0}},
                    {"type": "TRUNCATE", "truncateTransform": {"truncateLength": 3}},
                ]
            )
        },
    ),
)
LAYOUT = {
    "sortFields": COLUMNS,
    "distributionFields": COLUMNS,
    "partitionFields": st.lists(PARTITION, max_size=2),
    "partitionDistributionStrategy": st.sampled_from(["STRIPED", "CONSOLIDATED"]),
    "arrowCachingEnabled": FLAGS,
    "enabled": FLAGS,
}
DIMENSION = st.one_of(
    st.sampled_from("abc"),
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={"granularity": st.sampled_from(aggregation_reflection.GRANULARITIES)},
    ),
)
MEASURE = st.fixed_dictionaries(
    {"name": st.sampled_from("abc")},
    optional={
        "measureTypeList": st.lists(st.sampled_from(aggregation_reflection.MEASURES), min_size=1)
    },
)


@few
@given(raw=st.fixed_dictionaries({"displayFields": COLUMNS}, optional=LAYOUT))
def test_raw_reflection(service, raw):
    named = {"name": unique("raw"), "datasetPath": ["gold", "base"], "timeoutS": 5}
    check(raw_reflection, service, {**named, **raw})


@few
@given(
    raw=st.fixed_dictionaries(
        {"dimensionFields": st.lists(DIMENSION, min_size=1, max_size=3)},
        optional={**LAYOUT, "measureFields": st.lists(MEASURE, max_size=3)},
    )
)
def test_aggregation_reflection(service, raw):
    named = {"name": unique("agg"), "datasetPath": ["gold", "base"], "timeoutS": 5}
    check(aggregation_reflection, service, {**named, **raw})


PRIVILEGES = st.lists(
    st.sampled_from(["SELECT", "select", "CREATE TABLE", "CREATE_TABLE", "ALTER"]),
    min_size=1,
    max_size=4,
)


@few
@given(
    privileges=st.lists(PRIVILEGES, min_size=1, max_size=3),
    path=st.sampled_from([["gold"], ["gold", "base"]]),
)
def test_grant(service, privileges, path):
    grantees = [("ROLE", "readers"), ("ROLE", "writers"), ("USER", "admin")]
    grants = [
        {"granteeType": type_, "name": name, "privileges": given_}
        for (type_, name), given_ in zip(grantees, privileges, strict=False)
    ]
    assert grant.normalize({"path": path, "grants": grants[::-1]}) == grant.normalize(
        {"path": path, "grants": grants}
    )
    check(grant, service, {"path": path, "grants": grants})


ROLES = st.lists(st.sampled_from(["readers", "writers", "PUBLIC"]), max_size=3)


@few
@given(raw=st.fixed_dictionaries({}, optional={"description": TEXTS, "roles": ROLES}))
def test_role(service, raw):
    check(role, service, {"name": unique("role"), **raw})


@few
@given(
    raw=st.fixed_dictionaries(
        {"password": st.text("abc123é ", min_size=6, max_size=9).map(lambda text: f"{text}a1")},
        optional={"firstName": TEXTS, "lastName": TEXTS, "email": TEXTS, "roles": ROLES},
    )
)
def test_user(service, raw):
    check(user, service, {"name": unique("ann o'"), **raw})


@few
@given(tags=st.lists(TEXTS, min_size=1, max_size=4))
def test_tag(service, tags):
    path = ["gold", "base"]
    turned = tag.normalize({"path": path, "tags": tags[::-1]})
    assert turned == tag.normalize({"path": path, "tags": tags})
    check(tag, service, {"path": path, "tags": tags})


@few
@given(text=TEXTS)
def test_wiki(service, text):
    check(wiki, service, {"path": ["gold"], "text": text})


@few
@given(
    raw=st.fixed_dictionaries(
        {"content": TEXTS},
        optional={"context": st.lists(TEXTS, max_size=2), "description": TEXTS},
    )
)
def test_script(service, raw):
    check(script, service, {"name": unique("top & more"), **raw})


def narrowed(handler: ModuleType, raw: dict[str, Any]) -> dict[str, Any]:
    """`raw` without all that is optional."""
    if handler is source:
        return {"name": raw["name"], "type": raw["type"], "config": {}}
    if handler is physical_dataset:
        return {"path": raw["path"], "format": {"type": raw["format"]["type"]}}
    optional = {
        view: ("sqlContext", "allowBreakViews"),
        raw_reflection: ("sortFields", "distributionFields", "partitionFields", "enabled"),
        aggregation_reflection: ("sortFields", "partitionFields", "measureFields", "enabled"),
        role: ("description", "roles"),
        user: ("email", "firstName", "roles"),
        script: ("context", "description"),
    }[handler]
    return {key: value for key, value in raw.items() if key not in optional}


def all_but_local(handler: ModuleType, service: Service, id_: str) -> dict[str, Any]:
    imported = handler.read(service.client, id_, {}).inputs
    return {key: value for key, value in imported.items() if key not in ("name", "path")}


@pytest.mark.parametrize(
    "handler",
    [source, view, physical_dataset, raw_reflection, aggregation_reflection, role, user, script],
    ids=lambda handler: handler.KIND,
)
def test_an_input_that_is_left_out_goes_back_to_the_servers_default(service, fake, handler):
    wide = dict(next(raw for known, raw in WIDE if known is handler))
    if "roles" in wide:
        wide["roles"] = ["readers", "writers"]

    def renamed() -> dict[str, Any]:
        if handler is physical_dataset:
            lake = made(source, service, {"name": unique("lake"), "type": "S3", "config": {}})
            fake.files.add((lake, "orders"))
            return {"path": [lake, "orders"]}
        return {"path": ["gold", unique("v")]} if handler is view else {"name": unique("x")}

    wide |= renamed()
    narrow = handler.normalize(narrowed(handler, wide))
    id_ = made(handler, service, wide)
    handler.update(service.client, id_, handler.normalize(wide), narrow)
    fresh = made(handler, service, narrowed(handler, {**wide, **renamed()}))
    expected = all_but_local(handler, service, fresh)
    assert all_but_local(handler, service, id_) == expected
    # Told apart from what was there before: else nothing was reset.
    other = made(handler, service, {**wide, **renamed()})
    assert all_but_local(handler, service, other) != expected


def holes(value: Any) -> Iterator[Any]:
    """`value` with UNKNOWN in place of each of its parts, one at a time."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ({**value, key: hole} for hole in [UNKNOWN, *holes(item)])
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from ([*value[:at], hole, *value[at + 1 :]] for hole in [UNKNOWN, *holes(item)])


WIDE_SOURCE = {
    "name": "lake",
    "type": "S3",
    "config": {
        "credentialType": "ACCESS_KEY",
        "accessSecret": "s3cr3t",
        "secure": True,
        "maxCacheSpacePct": 50,
        "whitelistedBuckets": ["b", "a"],
        "propertyList": [{"name": "fs.s3a.endpoint", "value": "h:9000"}],
    },
    "metadataPolicy": {"datasetUpdateMode": "INLINE", "authTTLMs": 1, "autoPromoteDatasets": True},
    "accelerationRefreshPeriodMs": 3_600_000,
    "accelerationActivePolicyType": "SCHEDULE",
    "accelerationRefreshSchedule": "0 0 8 * * *",
    "allowMetadataLoss": True,
}
HOSTS = {"hostList": [{"hostname": "h", "port": 9200}], "usePainless": True}
DATABASE = {"hostname": "h", "databaseName": "d", "port": 5432, "fetchSize": 5}
REFLECTED = {
    "name": "r",
    "datasetPath": ["gold", "base"],
    "sortFields": ["a"],
    "distributionFields": ["b", "a"],
    "partitionFields": [
        {
            "name": "a",
            "transform": {"type": "BUCKET", "bucketTransform": {"bucketCount": 8}},
        }
    ],
    "enabled": True,
}
GRANTED = {"granteeType": "ROLE", "name": "readers", "privileges": ["SELECT", "ALTER"]}
WIDE = [
    (source, WIDE_SOURCE),
    (source, {"name": "s", "type": "ELASTIC", "config": HOSTS}),
    (source, {"name": "s", "type": "POSTGRES", "config": DATABASE}),
    (
        view,
        {
            "path": ["gold", "v"],
            "sql": "SELECT 1",
            "sqlContext": ["gold"],
            "allowBreakViews": True,
        },
    ),
    (folder, {"path": ["gold", "f"]}),
    (
        physical_dataset,
        {
            "path": ["lake", "t"],
            "format": {"type": "Text", "fieldDelimiter": ",", "extractHeader": True},
            "accelerationRefreshPolicy": {"method": "FULL", "refreshPeriodMs": 3_600_000},
        },
    ),
    (raw_reflection, {**REFLECTED, "displayFields": ["a", "b"]}),
    (
        aggregation_reflection,
        {
            **REFLECTED,
            "dimensionFields": ["b", {"name": "a", "granularity": "DATE"}],
            "measureFields": [{"name": "c", "measureTypeList": ["SUM", "COUNT"]}],
        },
    ),
    (grant, {"path": ["gold"], "grants": [GRANTED, {**GRANTED, "granteeType": "USER"}]}),
    (role, {"name": "r", "description": "d", "roles": ["b", "a"]}),
    (user, {"name": "u", "password": "pa55word", "email": "e", "roles": ["b", "a"]}),
    (tag, {"path": ["gold"], "tags": ["b", "a"]}),
    (wiki, {"path": ["gold"], "text": "t"}),
    (script, {"name": "s", "content": "c", "context": ["gold"], "description": "d"}),
]


@pytest.mark.parametrize(("handler", "raw"), WIDE)
def test_any_part_of_an_input_may_be_unknown_in_a_preview(handler, raw):
    known = handler.normalize(raw)
    for raw_with_hole in holes(raw):
        spec = handler.normalize(raw_with_hole)
        assert UNKNOWN in str(spec)
        assert handler.normalize(spec) == spec
        handler.natural_key(spec)
        if hasattr(handler, "review"):
            handler.review(known, spec)
