"""Streams of a connection: what the public API accepts and what it answers 400 to."""

import pytest

from embedded.airbyte import catalog
from embedded.airbyte.catalog import CatalogError


def stream(name: str, namespace: str | None = "public", **options):
    fields = {"id": {"type": "integer"}, "updated_at": {"type": "string"}, "name": {}}
    return {
        "name": name,
        "namespace": namespace,
        "json_schema": {"type": "object", "properties": fields},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_primary_key": [["id"]],
        **options,
    }


ORDERS = stream("orders")
EVENTS = stream("events", source_defined_cursor=True, default_cursor_field=["updated_at"])
KEYLESS = stream("keyless", source_defined_primary_key=[])
TWICE = [stream("twice", "a"), stream("twice", "b")]
FULL = stream("full", supported_sync_modes=["full_refresh"])
FOUND = [ORDERS, EVENTS, KEYLESS, *TWICE, FULL]
S3 = ["overwrite", "append"]
DEDUP = ["overwrite", "append", "append_dedup"]


def select(*wanted, modes=S3):
    return catalog.select(wanted, FOUND, modes)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"name": "nothing"}, "Invalid stream found: 'nothing'.*public.orders"),
        ({"name": "twice"}, "Ambiguous stream found"),
        ({"name": "orders", "syncMode": "incremental_deduped_history"}, "Valid sync modes are"),
        ({"name": "orders", "syncMode": "bogus"}, "Valid sync modes are"),
        ({"name": "full", "syncMode": "incremental_append"}, "Valid sync modes are"),
        ({"name": "orders", "syncMode": "incremental_append"}, "No default cursor"),
        (
            {"name": "orders", "syncMode": "incremental_append", "cursorField": ["nope"]},
            "Invalid cursor field",
        ),
        (
            {"name": "events", "syncMode": "incremental_append", "cursorField": ["id"]},
            "source defines",
        ),
        ({"name": "orders", "primaryKey": [["name"]]}, "defined by the source"),
        ({"name": "keyless", "primaryKey": [["nope"]]}, "Invalid primary key"),
        ({"name": "orders", "selectedFields": []}, "at least one"),
        ({"name": "orders", "selectedFields": [{"fieldPath": ["a", "b"]}]}, "nested"),
        (
            {
                "name": "orders",
                "syncMode": "incremental_append",
                "cursorField": ["updated_at"],
                "selectedFields": [{"fieldPath": ["id"]}],
            },
            "must contain \\['updated_at'\\]",
        ),
        ({"name": "orders", "mappers": [{"type": "hashing"}]}, "not covered"),
        ({"name": "orders", "syncmode": "x"}, "unknown keys"),
    ],
)
def test_refused(wanted, problem) -> None:
    with pytest.raises(CatalogError, match=problem):
        select(wanted)


def test_a_stream_cannot_be_there_twice() -> None:
    with pytest.raises(CatalogError, match="Duplicate"):
        select({"name": "orders"}, {"name": "orders", "namespace": "public"})


def test_dedup_needs_a_key_and_a_destination_that_merges() -> None:
    mode = {"syncMode": "incremental_deduped_history", "cursorField": ["updated_at"]}
    with pytest.raises(CatalogError, match="No primary key"):
        select({"name": "keyless", **mode}, modes=DEDUP)
    (entry,) = select({"name": "orders", **mode}, modes=DEDUP)
    assert entry["config"]["primaryKey"] == [["id"]]


def test_one_match_by_name_ignores_the_namespace() -> None:
    (entry,) = select({"name": "orders", "namespace": "elsewhere"})
    assert entry["stream"]["namespace"] == "public"
    (entry,) = select({"name": "twice", "namespace": "b"})
    assert entry["stream"]["namespace"] == "b"


def test_what_was_selected_can_be_sent_back() -> None:
    wanted = {
        "name": "orders",
        "syncMode": "incremental_append",
        "cursorField": ["updated_at"],
        "selectedFields": [{"fieldPath": ["id"]}, {"fieldPath": ["updated_at"]}],
    }
    entries = select(wanted)
    assert select(catalog.to_public(entries[0])) == entries


@pytest.mark.parametrize(
    ("rule", "form", "prefix", "target"),
    [
        ("destination", None, "", (None, "orders")),
        ("source", None, "raw_", ("public", "raw_orders")),
        ("custom_format", "x_${SOURCE_NAMESPACE}", "", ("x_public", "orders")),
        ("custom_format", "fixed", "", ("fixed", "orders")),
    ],
)
def test_names_at_the_destination(rule, form, prefix, target) -> None:
    connection = {"namespace_definition": rule, "namespace_format": form, "prefix": prefix}
    assert catalog.target_of(("public", "orders"), connection) == target


def test_overwrite_is_the_minimum_generation() -> None:
    entries = select({"name": "orders"}, {"name": "full", "syncMode": "full_refresh_append"})
    connection = {
        "streams": entries,
        "namespace_definition": "destination",
        "namespace_format": None,
        "prefix": "",
    }
    generations = {("public", "orders"): 4, ("public", "full"): 2}
    made = catalog.configured(connection, generations, 7, at_destination=True)["streams"]
    shown = [(s["generation_id"], s["minimum_generation_id"], s["sync_id"]) for s in made]
    assert shown == [(4, 4, 7), (2, 0, 7)]
    assert "namespace" not in made[0]["stream"]
