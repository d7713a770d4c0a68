"""What the platform does to each message on its way from the source to the destination."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from embedded.airbyte import protocol
from embedded.airbyte.jobs.accounting import Accounting
from embedded.airbyte.protocol import Head, Line, Message, ProtocolError, Run, StreamKey

TERMINAL = frozenset({"COMPLETE", "INCOMPLETE"})


@dataclass(frozen=True, kw_only=True)
class Route:
    """target: the stream's name at the destination. fields: those to keep; None keeps all."""

    target: StreamKey
    fields: frozenset[str] | None = None


class Gate:
    """Counts records, renames streams, numbers states; other messages go to `other`."""

    def __init__(
        self,
        routes: Mapping[StreamKey, Route],
        accounting: Accounting,
        other: Callable[[Message | bytes], None],
    ) -> None:
        self._routes = routes
        self._accounting = accounting
        self._other = other
        self._heads: dict[bytes, bytes | None] = {}
        self._statuses: dict[StreamKey, str] = {}

    def forward(self, part: Run | Line) -> bytes:
        """What to write to the destination. Raises ProtocolError."""
        if isinstance(part, Run):
            return self._run(part)
        message = protocol.parse_line(part.text)
        if message is None:
            self._other(part.text)
            return b""
        return self._message(message)

    def unfinished(self, status: str) -> bytes:
        """A terminal status for each stream that the source gave none."""
        now_ms = int(time.time() * 1000)
        open_ = [key for key in self._routes if self._statuses.get(key) not in TERMINAL]
        return b"".join(
            protocol.dump(protocol.stream_status(self._routes[key].target, status, now_ms))
            for key in open_
        )

    @property
    def incomplete(self) -> list[StreamKey]:
        return [key for key, status in self._statuses.items() if status == "INCOMPLETE"]

    def _run(self, run: Run) -> bytes:
        raw = run.head.raw
        if raw not in self._heads:
            self._heads[raw] = self._new_head(run.head)
        head = self._heads[raw]
        if head is None:
            lines = run.block.split(b"\n")[:-1]
            return b"".join(self._record(orjson.loads(line)) for line in lines)
        self._accounting.records(run.head.key, run.count, len(run.block))
        if head == raw:
            return run.block
        return head + run.block[len(raw) :].replace(b"\n" + raw, b"\n" + head)

    def _new_head(self, head: Head) -> bytes | None:
        """The head at the destination; None when the records must be parsed."""
        route = self._route(head.key) if head.namespaced else self._routes.get(head.key)
        if route is None or route.fields is not None:
            return None
        if not head.namespaced and sum(name == head.name for _, name in self._routes) > 1:
            return None  # the namespace may follow the data
        return protocol.record_head(*route.target)

    def _route(self, key: StreamKey) -> Route:
        route = self._routes.get(key)
        if route is None:
            raise ProtocolError(f"stream {key}: not in the catalog")
        return route

    def _record(self, message: Message) -> bytes:
        record = message["record"]
        key = (record.get("namespace"), record["stream"])
        route = self._route(key)
        if route.fields is not None:
            data = record["data"]
            record["data"] = {name: data[name] for name in data if name in route.fields}
        namespace, name = route.target
        rest = {k: v for k, v in record.items() if k not in ("stream", "namespace", "data")}
        named = {"stream": name} if namespace is None else {"stream": name, "namespace": namespace}
        line = protocol.dump(
            {"type": "RECORD", "record": {**named, "data": record["data"], **rest}}
        )
        self._accounting.records(key, 1, len(line))
        return line

    def _message(self, message: Message) -> bytes:
        kind = message["type"]
        if kind == "RECORD":
            return self._record(message)
        if kind == "STATE":
            payload = message["state"]
            mapped = self._accounting.sent(payload, self._mapped_state(payload))
            return protocol.dump({"type": "STATE", "state": mapped})
        if kind == "TRACE" and message["trace"].get("type") == "STREAM_STATUS":
            return self._status(message)
        self._other(message)
        return b""

    def _status(self, message: Message) -> bytes:
        status = message["trace"]["stream_status"]
        key = protocol.stream_key(status["stream_descriptor"])
        self._statuses[key] = status["status"]
        descriptor = protocol.descriptor(self._route(key).target)
        mapped = {**status, "stream_descriptor": descriptor}
        return protocol.dump(
            {"type": "TRACE", "trace": {**message["trace"], "stream_status": mapped}}
        )

    def _mapped_state(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        kind = payload.get("type")
        if kind == "STREAM":
            return {**payload, "stream": self._mapped_stream(payload["stream"])}
        if kind == "GLOBAL":
            whole = payload["global"]
            streams = [self._mapped_stream(s) for s in whole.get("stream_states") or ()]
            return {**payload, "global": {**whole, "stream_states": streams}}
        return dict(payload)

    def _mapped_stream(self, stream: Mapping[str, Any]) -> dict[str, Any]:
        route = self._routes.get(protocol.stream_key(stream["stream_descriptor"]))
        if route is None:  # of a stream that was deselected; it travels unchanged
            return dict(stream)
        return {**stream, "stream_descriptor": protocol.descriptor(route.target)}
