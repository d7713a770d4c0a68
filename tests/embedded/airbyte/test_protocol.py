"""Runs of records: the same messages as a line-by-line parser sees, however they are cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.airbyte import protocol
from embedded.airbyte.protocol import Line, LineRuns, ProtocolError, Run

names = st.sampled_from(["orders", "customers", 'quo"ted', "ünï"])
namespaces = st.sampled_from([None, "public", "sales"])
data = st.dictionaries(
    st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=20)), max_size=3
)


@st.composite
def lines(draw) -> bytes:
    kind = draw(st.sampled_from(["record", "trailing", "state", "noise"]))
    name, namespace, content = draw(names), draw(namespaces), draw(data)
    if kind == "noise":
        return b"a library printed this"
    if kind == "state":
        state = {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}}}
        return json.dumps({"type": "STATE", "state": state}).encode()
    record = {"stream": name}
    if kind == "record" and namespace:
        record["namespace"] = namespace
    record |= {"data": content, "emitted_at": 1}
    if kind == "trailing" and namespace:
        record["namespace"] = namespace
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    message = {"type": "RECORD", "record": record}
    return json.dumps(message, separators=separators, ensure_ascii=draw(st.booleans())).encode()


@given(st.lists(lines(), max_size=30), st.lists(st.integers(1, 200), min_size=1), st.booleans())
def test_runs_hold_every_line_in_order(
    expected: list[bytes], cuts: list[int], ended: bool
) -> None:
    stream = b"\n".join(expected) + (b"\n" if ended and expected else b"")
    runs, parts = LineRuns(), []
    position = index = 0
    while position < len(stream):
        size = cuts[index % len(cuts)]
        parts += runs.feed(stream[position : position + size])
        position, index = position + size, index + 1
    parts += runs.close()
    found: list[bytes] = []
    for part in parts:
        if isinstance(part, Line):
            found.append(part.text)
            continue
        block = part.block.split(b"\n")[:-1]
        assert len(block) == part.count
        for line in block:
            record = json.loads(line)["record"]
            assert part.head.name == record["stream"]
            if part.head.namespaced:
                assert part.head.namespace == record.get("namespace")
        found += block
    assert found == expected


def test_our_own_head_is_understood() -> None:
    raw = protocol.record_head("public", "orders")
    head = protocol.parse_head(raw + b"{}}}")
    assert head == protocol.Head(raw=raw, namespace="public", name="orders", namespaced=True)


def test_a_block_of_one_stream_is_one_run() -> None:
    line = protocol.record_head("public", "orders") + b'{"a":1},"emitted_at":1}}\n'
    runs = LineRuns()
    list(runs.feed(line))
    (run,) = runs.feed(line * 1000)
    assert isinstance(run, Run)
    assert run.count == 1000


def test_a_cut_record_is_an_error_and_a_stray_print_is_not() -> None:
    assert protocol.parse_line(b"Hello") is None
    with pytest.raises(ProtocolError):
        protocol.parse_line(b'{"type":"RECORD","record":{"stream":')
