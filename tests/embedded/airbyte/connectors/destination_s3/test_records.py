"""Records as Arrow: the reader in C++ and the one per value give the same rows."""

import json
from datetime import date, datetime, time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.airbyte.connectors.destination_s3 import records, types
from embedded.airbyte.connectors.destination_s3.records import RecordTable
from embedded.airbyte.protocol import ProtocolError

SCHEMA = {
    "properties": {
        "id": {"type": ["null", "integer"]},
        "n": {"type": "number", "airbyte_type": "integer"},
        "x": {"type": "number"},
        "s": {"type": "string"},
        "b": {"type": "boolean"},
        "d": {"type": "string", "format": "date"},
        "z": {"type": "string", "format": "date-time"},
        "t": {
            "type": "string",
            "format": "date-time",
            "airbyte_type": "timestamp_without_timezone",
        },
        "c": {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
    }
}
GOOD = {
    "id": 1,
    "n": 2,
    "x": 2.5,
    "s": "a",
    "b": True,
    "d": "2025-10-16",
    "z": "2025-10-16T02:00:00+02:00",
    "t": "2025-10-16T00:00:00.123456",
    "c": "12:00:01.5",
}
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["2025-10-16", "2025-10-16T00:00:00Z", "2025-10-16T00:00:00", "9999-99-99"]),
    st.sampled_from(["12:00:00", "infinity", "0044-03-15 BC", "NaN"]),
)
rows = st.lists(st.dictionaries(st.sampled_from([*GOOD, "extra"]), values), min_size=1, max_size=5)


def lines(*data, **record) -> bytes:
    messages = (
        {"type": "RECORD", "record": {"stream": "s", "data": row, "emitted_at": 1, **record}}
        for row in data
    )
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def table() -> RecordTable:
    return RecordTable(SCHEMA, sync_id=7, generation_id=3)


def comparable(converted: pa.Table) -> list[dict]:
    return converted.drop_columns(["_airbyte_raw_id"]).to_pylist()


@given(rows)
def test_both_readers_agree(data: list[dict]) -> None:
    block = lines(*[{**GOOD, **row} for row in data])
    each = table()._convert_each(block)
    fast = table()._convert_fast(block, len(data))
    if fast is not None:
        assert comparable(fast) == comparable(each)
    assert comparable(table().convert(block, len(data))) == comparable(each)


def test_good_values_take_the_fast_reader_and_keep_their_types() -> None:
    fast = table()._convert_fast(lines(GOOD), 1)
    assert fast is not None
    (row,) = fast.to_pylist()
    assert row["z"].isoformat() == "2025-10-16T00:00:00+00:00"
    assert row["t"] == datetime(2025, 10, 16, 0, 0, 0, 123456)
    assert row["d"] == date(2025, 10, 16)
    assert row["c"] == time(12, 0, 1, 500000)
    assert row["_airbyte_meta"] == {"sync_id": 7, "changes": []}
    assert row["_airbyte_generation_id"] == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "seven"),
        ("id", 1.5),
        ("id", True),
        ("x", "1"),
        ("b", 1),
        ("d", "2025-02-30"),
        ("t", "infinity"),
        ("z", 5),
    ],
)
def test_a_poison_value_becomes_null_with_a_change_and_spares_the_rest(field, value) -> None:
    found = table().convert(lines(GOOD, {**GOOD, field: value}), 2).to_pylist()
    assert found[0][field] is not None
    assert found[1][field] is None
    assert found[0]["_airbyte_meta"]["changes"] == []
    assert found[1]["_airbyte_meta"]["changes"] == [types.lost_change(field)]
    assert found[1]["s"] == "a"


def test_changes_of_the_source_are_kept() -> None:
    change = {"field": "x", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}
    block = lines({**GOOD, "x": None, "d": "bad"}, meta={"changes": [change]})
    (row,) = table().convert(block, 1).to_pylist()
    assert row["_airbyte_meta"]["changes"] == [change, types.lost_change("d")]


def test_nested_and_schemaless_values() -> None:
    schema = {
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "free": {"type": "object"},
            "place": {"type": "object", "properties": {"city": {"type": "string"}}},
            "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        }
    }
    data = {"tags": ["a", None], "free": {"k": [1]}, "place": {"city": "Paris"}, "either": 3}
    made = RecordTable(schema, sync_id=1, generation_id=0).convert(lines(data), 1)
    (row,) = made.to_pylist()
    assert (row["tags"], row["place"]) == (["a", None], {"city": "Paris"})
    assert (row["free"], row["either"]) == ('{"k":[1]}', "3")


def test_a_broken_record_is_never_skipped() -> None:
    with pytest.raises(ProtocolError):
        table().convert(lines(GOOD)[:-5] + b"\n" + lines(GOOD), 2)


def test_raw_ids_are_uuids_and_unique() -> None:
    import uuid

    ids = records.raw_ids(1000) + records.raw_ids(1000)
    assert len(set(ids)) == 2000
    assert uuid.UUID(ids[0]).version == 4
