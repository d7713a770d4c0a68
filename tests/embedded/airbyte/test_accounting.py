"""States and counts between source and destination."""

import pytest

from embedded.airbyte.jobs import state
from embedded.airbyte.jobs.accounting import Accounting
from embedded.airbyte.protocol import ProtocolError

KEY = ("public", "orders")
OTHER = (None, "events")


def stream_state(cursor, key=KEY):
    descriptor = {"name": key[1]} | ({"namespace": key[0]} if key[0] else {})
    stream = {"stream_descriptor": descriptor, "stream_state": {"cursor": cursor}}
    return {"type": "STREAM", "stream": stream}


def test_only_what_a_confirmed_state_covers_is_committed() -> None:
    accounting = Accounting.of([KEY, OTHER])
    accounting.records(KEY, 10, 100)
    accounting.records(OTHER, 5, 50)
    sent = accounting.sent(stream_state(1), stream_state(1))
    accounting.records(KEY, 7, 70)
    assert accounting.totals()["records_committed"] == 0
    stats = {"destinationStats": {"recordCount": 10.0}}
    assert accounting.echoed({**sent, **stats}) == stream_state(1)
    totals = accounting.totals()
    assert totals == {
        "records_emitted": 22,
        "bytes_emitted": 220,
        "records_committed": 10,
        "bytes_committed": 100,
    }


def test_a_destination_that_lost_records_is_caught() -> None:
    accounting = Accounting.of([KEY])
    accounting.records(KEY, 10, 100)
    sent = accounting.sent(stream_state(1), stream_state(1))
    with pytest.raises(ProtocolError, match="9 records for a state, 10 were sent"):
        accounting.echoed({**sent, "destinationStats": {"recordCount": 9.0}})
    assert accounting.totals()["records_committed"] == 0


def test_an_echo_without_the_id_is_found_by_its_content() -> None:
    accounting = Accounting.of([KEY])
    for cursor in (1, 2):
        accounting.sent(stream_state(cursor), stream_state(cursor))
    assert accounting.echoed(stream_state(2)) == stream_state(2)


def test_an_invented_state_is_refused() -> None:
    accounting = Accounting.of([KEY])
    with pytest.raises(ProtocolError, match="not sent"):
        accounting.echoed(stream_state(1))


def test_success_needs_every_state_confirmed() -> None:
    accounting = Accounting.of([KEY])
    accounting.sent(stream_state(1), stream_state(1))
    with pytest.raises(ProtocolError, match="1 states unconfirmed"):
        accounting.finish()


@pytest.mark.parametrize(
    "payloads",
    [
        [stream_state(1), stream_state(5, OTHER), stream_state(2)],
        [{"type": "GLOBAL", "global": {"shared_state": {"lsn": 1}, "stream_states": []}}],
        [{"type": "LEGACY", "data": {"a": 1}}],
    ],
)
def test_state_survives_storage(payloads) -> None:
    stored = None
    for payload in payloads:
        stored = state.merged(stored, payload)
    expected = payloads[1:] if len(payloads) == 3 else payloads
    assert state.to_protocol(stored) == expected
