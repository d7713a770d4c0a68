"""normalize(read(create(x))) == normalize(x), for generated inputs of Superset's objects.

A field that the server fills in or rewrites would be a difference in each preview.
"""

from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamic_providers.handler import UNKNOWN, Props
from dynamic_providers.superset import (
    chart,
    dashboard,
    database,
    dataset,
    row_level_security,
)
from dynamic_providers.superset.client import SupersetClient
from tests.dynamic_providers.cases import Service, made, unique
from tests.fakes.serving import serving
from tests.fakes.superset import Superset

few = settings(max_examples=15, deadline=None)  # an example is a dozen calls to the fake
PASSWORD = "pa55word-of-the-admin"
TEXTS = st.text(min_size=1, max_size=12).filter(lambda text: text.strip())
NAMES = st.text("abc é'!(),:", min_size=1, max_size=6).filter(lambda text: text.strip())
FLAGS = st.booleans()
SECONDS = st.sampled_from([0, 60, 3600.0])
NUMBERS = st.one_of(st.integers(-9, 9), st.sampled_from([1.5, 2.0]))
JSON = st.recursive(
    st.one_of(FLAGS, NUMBERS, TEXTS), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)
FORM_DATA = st.dictionaries(
    st.sampled_from(["metric", "row_limit", "adhoc_filters", "slice_id", "datasource"]), JSON
)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[SupersetClient, str, list[str]]]:
    """A client, the uuid of a database, and those of two charts over one dataset."""
    with serving(Superset(PASSWORD).app) as url:
        client = SupersetClient(url, PASSWORD)
        service = Service(client=client, facts={})
        uri = "postgresql://analyst@127.0.0.1:5432/warehouse"
        warehouse = made(database, service, {"name": "warehouse", "sqlalchemyUri": uri})
        table = {"databaseUuid": warehouse, "schema": "public", "tableName": "orders"}
        look = {"vizType": "table", "datasetUuid": made(dataset, service, table)}
        charts = [made(chart, service, {**look, "name": name}) for name in ("a", "b")]
        yield client, warehouse, charts
        client.close()


def comes_back(client: SupersetClient, handler: ModuleType, raw: Props) -> None:
    spec = handler.normalize(raw)
    assert handler.normalize(spec) == spec
    id_ = handler.create(client, spec).id
    found = handler.read(client, id_, spec).inputs
    assert found == spec
    assert handler.normalize(found) == spec
    handler.delete(client, id_, spec)


def table_uuid(client: SupersetClient) -> str:
    return client.listing("dataset", ("table_name", "eq", "orders"), "uuid")[0]["uuid"]


@few
@given(
    raw=st.fixed_dictionaries(
        {"vizType": st.sampled_from(sorted(chart.VIZ_TYPES)), "name": NAMES},
        optional={
            "sliceName": TEXTS,
            "params": FORM_DATA,
            "queryContext": st.dictionaries(st.just("queries"), JSON),
            "description": TEXTS,
            "cacheTimeoutS": SECONDS,
            "certifiedBy": TEXTS,
            "certificationDetails": TEXTS,
        },
    )
)
def test_a_chart_comes_back_as_it_was_given(place, raw):
    client = place[0]
    name = unique(raw["name"])  # "a" and "b" stay
    comes_back(client, chart, {**raw, "name": name, "datasetUuid": table_uuid(client)})


METRICS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "expression": TEXTS},
        optional={key: TEXTS for key in ("verboseName", "d3format", "description", "warningText")},
    ),
    max_size=3,
    unique_by=lambda metric: metric["name"],
)
DESCRIBED = {
    "verboseName": TEXTS,
    "description": TEXTS,
    "filterable": FLAGS,
    "groupby": FLAGS,
    "isDttm": FLAGS,
    "pythonDateFormat": st.just("epoch_s"),
}
COLUMNS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["a"])},  # the column of a query
            optional=DESCRIBED,
        ),
        st.fixed_dictionaries(
            {"name": NAMES.map("calculated {}".format), "expression": TEXTS},
            optional={**DESCRIBED, "type": st.just("NUMERIC")},
        ),
    ),
    max_size=4,
    unique_by=lambda column: column["name"],
)


@few
@given(
    raw=st.fixed_dictionaries(
        {"sql": TEXTS},
        optional={
            "columns": COLUMNS,
            "metrics": METRICS,
            "mainDttmCol": st.just("a"),
            "alwaysFilterMainDttm": FLAGS,
            "description": TEXTS,
            "cacheTimeoutS": SECONDS,
            "forceDelete": FLAGS,
        },
    )
)
def test_a_dataset_comes_back_as_it_was_given(place, raw):
    client, warehouse, _ = place
    more = {"databaseUuid": warehouse, "schema": "public", "tableName": unique("query")}
    comes_back(client, dataset, {**raw, **more})


def cells(chart_index: st.SearchStrategy[int]) -> st.SearchStrategy[Props]:
    size = {"width": st.sampled_from([1, 2, 3.0]), "height": st.sampled_from([5, 50.0])}
    return st.one_of(
        chart_index,
        st.fixed_dictionaries({"chart": chart_index}, optional=size),
        st.fixed_dictionaries({"markdown": TEXTS}, optional=size),
    )


FILTERS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"name": NAMES, "column": NAMES},
            optional={
                "default": st.lists(st.one_of(NUMBERS, TEXTS), min_size=1, max_size=3),
                "multiple": FLAGS,
                "required": FLAGS,
                "description": TEXTS,
            },
        ),
        st.fixed_dictionaries(
            {"name": NAMES, "column": NAMES, "filterType": st.just("filter_range")},
            optional={"default": st.tuples(NUMBERS, NUMBERS), "required": FLAGS},
        ),
        st.fixed_dictionaries(
            {"name": NAMES, "filterType": st.just("filter_time")},
            optional={"default": TEXTS, "description": TEXTS},
        ),
    ),
    max_size=3,
    unique_by=lambda item: item["name"],
)


@few
@given(
    raw=st.fixed_dictionaries(
        {
            "slug": NAMES,
            "title": TEXTS,
            "rows": st.lists(st.lists(cells(st.integers(0, 1)), min_size=1, max_size=3)),
        },
        optional={
            "published": FLAGS,
            "css": TEXTS,
            "filters": FILTERS,
            "roles": st.lists(st.sampled_from(["Alpha", "Gamma"]), min_size=1),
        },
    )
)
def test_a_dashboard_comes_back_as_it_was_given(place, raw):
    client, _, charts = place

    def placed(cell: int | Props) -> str | Props:
        if isinstance(cell, int):
            return charts[cell]
        return {**cell, "chart": charts[cell["chart"]]} if "chart" in cell else cell

    raw["rows"] = [[placed(cell) for cell in row] for row in raw["rows"]]
    table = table_uuid(client)
    for item in raw.get("filters", []):
        if "column" in item:
            item["datasetUuid"] = table
    comes_back(client, dashboard, raw)


@few
@given(
    raw=st.fixed_dictionaries(
        {
            "name": NAMES,
            "roles": st.lists(st.sampled_from(["Alpha", "Gamma", "Public"]), min_size=1),
            "clause": st.sampled_from(["a = 1", " region IN ('EU', 'US') ", "x IS NULL OR y"]),
        },
        optional={
            "filterType": st.sampled_from(row_level_security.FILTER_TYPES),
            "groupKey": TEXTS,
            "description": TEXTS,
        },
    )
)
def test_a_rule_comes_back_as_it_was_given(place, raw):
    client = place[0]
    comes_back(
        client, row_level_security, {**raw, "datasetUuids": [table_uuid(client).upper()] * 2}
    )


@given(st.data())
def test_unknown_parts_stay_as_they_are(data):
    """A preview may not know any of them."""
    maybe = st.one_of(NAMES, st.just(UNKNOWN))
    column = {"name": data.draw(maybe), "expression": data.draw(maybe)}
    raw = {
        "databaseUuid": UNKNOWN,
        "schema": data.draw(maybe),
        "tableName": data.draw(maybe),
        "columns": data.draw(st.one_of(st.just(UNKNOWN), st.just([column]), st.just([UNKNOWN]))),
    }
    spec = dataset.normalize(raw)
    assert dataset.normalize(spec) == spec
    assert spec["uuid"] == UNKNOWN
    rule = {"name": data.draw(maybe), "roles": [data.draw(maybe), UNKNOWN]}
    rule |= {"datasetUuids": [UNKNOWN], "clause": f"a = '{UNKNOWN}'"}
    spec = row_level_security.normalize(rule)
    assert row_level_security.normalize(spec) == spec
    item = {
        "name": data.draw(maybe),
        "filterType": UNKNOWN,
    }
    board = {"slug": data.draw(maybe), "title": "t", "rows": [], "filters": [item, UNKNOWN]}
    spec = dashboard.normalize(board)
    assert dashboard.normalize(spec) == spec
