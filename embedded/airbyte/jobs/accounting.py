"""What passed and what is safe: counts per stream, and states between their two ends."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded.airbyte import protocol
from embedded.airbyte.protocol import ProtocolError, StreamKey


@dataclass
class StreamCounts:
    records_emitted: int = 0
    bytes_emitted: int = 0
    records_committed: int = 0
    bytes_committed: int = 0
    counted: int = 0  # records up to the last state


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A STATE on its way. payload: as the source gave it; covers: stream -> (records, bytes)."""

    payload: Mapping[str, Any]
    content: Any
    covers: Mapping[StreamKey, tuple[int, int]]
    records: int


@dataclass
class Accounting:
    """Counts of one attempt, by the source's stream names. Thread-safe."""

    streams: dict[StreamKey, StreamCounts] = field(default_factory=dict)
    _sent: dict[int, Sent] = field(default_factory=dict)
    _next: int = 1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, keys: Iterable[StreamKey]) -> "Accounting":
        return cls(streams={key: StreamCounts() for key in keys})

    def records(self, key: StreamKey, count: int, size: int) -> None:
        with self._lock:
            counts = self.streams[key]
            counts.records_emitted += count
            counts.bytes_emitted += size

    def sent(self, payload: Mapping[str, Any], mapped: Mapping[str, Any]) -> dict[str, Any]:
        """Notes a STATE of the source; `mapped`, with an id, is what the destination gets."""
        with self._lock:
            key = protocol.state_key(payload)
            if key is not None and key not in self.streams:
                raise ProtocolError(f"a STATE of stream {key}, which is not in the catalog")
            covered = list(self.streams) if key is None else [key]
            counts = {each: self.streams[each] for each in covered}
            records = sum(c.records_emitted - c.counted for c in counts.values())
            for each in counts.values():
                each.counted = each.records_emitted
            number, self._next = self._next, self._next + 1
            self._sent[number] = Sent(
                payload=payload,
                content=_content(mapped),
                covers={k: (c.records_emitted, c.bytes_emitted) for k, c in counts.items()},
                records=records,
            )
            return {**mapped, "id": number}

    def echoed(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """The source's payload of a STATE that the destination confirms.

        Raises ProtocolError for one that was never sent, or that says records are missing.
        """
        with self._lock:
            number = self._find(payload)
            sent = self._sent.pop(number)
            stats = payload.get("destinationStats") or {}
            if "recordCount" in stats:
                arrived = stats["recordCount"] + (stats.get("rejectedRecordCount") or 0)
                if arrived != sent.records:
                    raise ProtocolError(
                        f"the destination counted {arrived:.0f} records for a state, "
                        f"{sent.records} were sent"
                    )
            for key, (records, size) in sent.covers.items():
                counts = self.streams[key]
                counts.records_committed = max(counts.records_committed, records)
                counts.bytes_committed = max(counts.bytes_committed, size)
            return sent.payload

    def _find(self, payload: Mapping[str, Any]) -> int:
        number = payload.get("id")
        if number in self._sent:
            return int(number)
        # Destinations built on older libraries drop fields that they do not know.
        content = _content(payload)
        for candidate, sent in self._sent.items():
            if sent.content == content:
                return candidate
        raise ProtocolError("the destination confirms a state that was not sent")

    def finish(self) -> None:
        """The destination ended well: everything it got is safe.

        Raises ProtocolError when it left states unconfirmed.
        """
        with self._lock:
            if self._sent:
                raise ProtocolError(f"the destination left {len(self._sent)} states unconfirmed")
            for counts in self.streams.values():
                counts.records_committed = counts.records_emitted
                counts.bytes_committed = counts.bytes_emitted

    def totals(self) -> dict[str, int]:
        names = ("records_emitted", "bytes_emitted", "records_committed", "bytes_committed")
        with self._lock:
            return {n: sum(getattr(c, n) for c in self.streams.values()) for n in names}

    def stream_stats(self) -> list[dict[str, Any]]:
        """As in the Config API's attempts."""
        with self._lock:
            return [
                {
                    "streamName": name,
                    "streamNamespace": namespace,
                    "stats": {
                        "recordsEmitted": counts.records_emitted,
                        "bytesEmitted": counts.bytes_emitted,
                        "recordsCommitted": counts.records_committed,
                        "bytesCommitted": counts.bytes_committed,
                    },
                }
                for (namespace, name), counts in self.streams.items()
            ]


def _content(payload: Mapping[str, Any]) -> Any:
    return payload.get("stream") or payload.get("global") or payload.get("data")
