"""The PostgreSQL source as a program: every line is valid protocol, every type arrives."""

import json
import subprocess
import sys

import pytest
from airbyte_protocol_dataclasses.models import AirbyteMessage
from pydantic import TypeAdapter

from tests.embedded.airbyte.conftest import ROOT, connect, source_config

pytestmark = pytest.mark.service

VALID = TypeAdapter(AirbyteMessage)


@pytest.fixture
def run(tmp_path):
    """(verb, config, catalog, state) -> messages, each checked against the protocol."""

    def call(verb, config, catalog=None, state=None, *, code=0):
        command = [sys.executable, "-m", "embedded.airbyte.connectors.source_postgres", verb]
        for name, value in (("config", config), ("catalog", catalog), ("state", state)):
            if value is not None:
                path = tmp_path / f"{name}.json"
                path.write_text(json.dumps(value))
                command += [f"--{name}", str(path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        messages = [json.loads(line) for line in done.stdout.splitlines()]
        for message in messages:
            VALID.validate_python(message)
        return messages

    return call


def streams(run, config) -> dict:
    (message,) = run("discover", config)
    return {stream["name"]: stream for stream in message["catalog"]["streams"]}


def configured(stream, **options) -> dict:
    entry = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    return {"streams": [{**entry, **options}]}


def rows(messages) -> list[dict]:
    return [m["record"]["data"] for m in messages if m["type"] == "RECORD"]


def states(messages) -> list[dict]:
    return [m["state"] for m in messages if m["type"] == "STATE"]


def test_types(run, new_database) -> None:
    database = new_database("types")
    with connect(database) as db:
        db.execute("CREATE DOMAIN positive AS integer CHECK (value > 0)")
        db.execute("CREATE DOMAIN small AS positive")
        db.execute("CREATE TYPE mood AS ENUM ('happy')")
        db.execute(
            """CREATE TABLE t (i int NOT NULL, dom small, big bigint, n numeric, f float8,
               m money, b boolean, s text, d date, ts timestamp, tz timestamptz, c time,
               ctz timetz, u uuid, j jsonb, js json, by bytea, iv interval, e mood, a int[],
               ta text[], ma int[][], ip inet, "Odd ""name" text, gone int)"""
        )
        db.execute(
            """INSERT INTO t VALUES (1, 2, 9223372036854775807, 1.50, 'NaN', 12.34, true,
               E'tab\\tquote"back\\\\slash\\u00e9\\nline', '2025-10-16', '2025-10-16 01:02:03.5',
               '2025-10-16 01:02:03+02', '01:02:03', '01:02:03+02',
               '00000000-0000-4000-8000-000000000000', '{"k": [1]}', E'{"k":\\n 1}', '\\x01ff',
               '1 day', 'happy', '{1,NULL}', '{a,"b c"}', '{{1,2},{3,4}}', '10.0.0.1', 'x', 1)"""
        )
        db.execute("INSERT INTO t (i, n, tz, d) VALUES (2, 'NaN', 'infinity', '-infinity')")
        db.execute("ALTER TABLE t DROP COLUMN gone")
    config = source_config(database)
    stream = streams(run, config)["t"]
    properties = stream["json_schema"]["properties"]
    integer = {"type": "number", "airbyte_type": "integer"}
    assert properties["i"] == integer
    assert properties["dom"] == {**integer, "type": ["null", "number"]}
    assert properties["tz"]["airbyte_type"] == "timestamp_with_timezone"
    assert properties["a"]["items"]["airbyte_type"] == "integer"
    assert properties["ma"] == {"type": ["null", "array"]}
    assert "gone" not in properties
    messages = run("read", config, configured(stream))
    first, second = rows(messages)
    assert first == {
        "i": 1,
        "dom": 2,
        "big": 9223372036854775807,
        "n": 1.5,
        "f": None,
        "m": 12.34,
        "b": True,
        "s": 'tab\tquote"back\\slash\u00e9\nline',
        "d": "2025-10-16",
        "ts": "2025-10-16T01:02:03.5",
        "tz": "2025-10-15T23:02:03+00:00",
        "c": "01:02:03",
        "ctz": "01:02:03+02",
        "u": "00000000-0000-4000-8000-000000000000",
        "j": '{"k": [1]}',
        "js": '{"k":\n 1}',
        "by": "\\x01ff",
        "iv": "1 day",
        "e": "happy",
        "a": [1, None],
        "ta": ["a", "b c"],
        "ma": [[1, 2], [3, 4]],
        "ip": "10.0.0.1",
        'Odd "name': "x",
    }
    assert (second["n"], second["tz"], second["d"]) == (None, None, None)
    metas = [m["record"].get("meta") for m in messages if m["type"] == "RECORD"]
    lost = [sorted(change["field"] for change in meta["changes"]) for meta in metas]
    assert lost == [["f"], ["d", "n", "tz"]]


def test_statuses_frame_the_records(run, shop) -> None:
    config = source_config(shop)
    messages = run("read", config, configured(streams(run, config)["customers"]))
    kinds = [
        m["trace"]["stream_status"]["status"] if m["type"] == "TRACE" else m["type"]
        for m in messages
    ]
    assert kinds == ["STARTED", *["RECORD"] * 1000, "STATE", "COMPLETE"]
    assert states(messages)[0]["sourceStats"]["recordCount"] == 1000


@pytest.fixture
def incremental(run, shop):
    config = source_config(shop, batch_size=100)
    stream = streams(run, config)["customers"]
    catalog = configured(stream, sync_mode="incremental", cursor_field=["updated_at"])
    return lambda state=None: run("read", config, catalog, state)


def test_every_state_is_a_safe_place_to_go_on(incremental, shop) -> None:
    with connect(shop) as db:  # 50 rows share each cursor value
        db.execute(
            "UPDATE customers "
            "SET updated_at = timestamptz '2025-10-16Z' + id / 50 * interval '1 s'"
        )
    messages = incremental()
    assert len(states(messages)) > 5
    sent: set[int] = set()
    for message in messages:
        if message["type"] == "RECORD":
            sent.add(message["record"]["data"]["id"])
        elif message["type"] == "STATE":
            rest = {row["id"] for row in rows(incremental([message["state"]]))}
            assert sent | rest == set(range(1, 1001))
            if len(sent) > 150:
                assert len(rest) < 1000 - len(sent) + 51  # it goes on, it does not start over


def test_nothing_new_sends_nothing_and_keeps_the_state(incremental) -> None:
    last = states(incremental())[-1]
    again = incremental([last])
    assert rows(again) == []
    assert states(again)[-1]["stream"] == last["stream"]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO customers SELECT 5000, 'late', 1, max(updated_at) FROM customers",
        "UPDATE customers SET name = 'changed' WHERE id = 1000",
        "WITH gone AS (DELETE FROM customers WHERE id = 1000 RETURNING *) "
        "INSERT INTO customers SELECT 5000, name, amount, updated_at FROM gone",
    ],
)
def test_changes_at_the_last_cursor_value_are_seen(incremental, shop, change) -> None:
    last = states(incremental())[-1]
    with connect(shop) as db:
        db.execute(change)
    assert rows(incremental([last])) != []


def test_rows_without_a_cursor_value_are_sent_once_at_first(incremental, shop) -> None:
    with connect(shop) as db:
        db.execute("INSERT INTO customers VALUES (5000, 'no cursor', 1, NULL)")
    messages = incremental()
    assert rows(messages)[0]["id"] == 5000
    assert len(rows(messages)) == 1001
    assert rows(incremental([states(messages)[-1]])) == []


def test_a_state_of_another_cursor_starts_over(run, shop, incremental) -> None:
    last = states(incremental())[-1]
    config = source_config(shop)
    catalog = configured(
        streams(run, config)["customers"], sync_mode="incremental", cursor_field=["id"]
    )
    assert len(rows(run("read", config, catalog, [last]))) == 1000


def test_an_empty_table_has_a_state_too(run, new_database) -> None:
    database = new_database("empty")
    with connect(database) as db:
        db.execute("CREATE TABLE e (id int)")
    config = source_config(database)
    catalog = configured(streams(run, config)["e"], sync_mode="incremental", cursor_field=["id"])
    (state,) = states(run("read", config, catalog))
    with connect(database) as db:
        db.execute("INSERT INTO e VALUES (1)")
    assert rows(run("read", config, catalog, [state])) == [{"id": 1}]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"password": "wrong"}, "password authentication failed"),
        ({"database": "nowhere"}, "does not exist|permission denied"),
        ({"schemas": ["public", "nope"]}, "nope"),
        ({"replication_method": {"method": "CDC"}}, "'CDC' is not built yet"),
        ({"replication_method": {"method": "Xmin"}}, "'Xmin' is not built yet"),
        ({"tunnel_method": {"tunnel_method": "SSH_KEY_AUTH"}}, "not built yet"),
        ({"ssl_mode": {"mode": "maybe"}}, "expected one of"),
        ({"ssl_mode": {"mode": "verify-ca"}}, "needs it"),
        ({"host": ""}, "host: required"),
    ],
)
def test_check_tells_what_is_wrong(run, shop, change, problem) -> None:
    import re

    (message,) = run("check", source_config(shop) | change)
    status = message["connectionStatus"]
    assert status["status"] == "FAILED"
    assert re.search(problem, status["message"])
    assert "wrong" not in status["message"]


def test_check_and_spec(run, shop) -> None:
    (message,) = run("check", source_config(shop))
    assert message["connectionStatus"] == {"status": "SUCCEEDED"}
    (message,) = run("spec", None)
    assert "connectionSpecification" in message["spec"]


def test_a_table_that_is_gone_is_a_clear_error(run, shop) -> None:
    config = source_config(shop)
    stream = {**streams(run, config)["customers"], "name": "gone"}
    messages = run("read", config, configured(stream), code=1)
    error = messages[-1]["trace"]["error"]
    assert error["failure_type"] == "config_error"
    assert "public.gone" in error["message"]
