"""Airbyte protocol 0.18: JSON lines between a source, the platform and a destination.

Messages: https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol
Records are by far the most lines, so they are passed on as runs of bytes: a run is a block of
whole lines that begin with the same text, which holds the stream's name. Only the first line of
a run is looked at by Python code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

Message = dict[str, Any]
StreamKey = tuple[str | None, str]  # namespace, name

READ_BYTES = 1 << 20

_STRING = rb'"([^"\\\x00-\x1f]*)"'  # names with escapes take the slow path
_NAMESPACE = rb'"namespace":\s*(?:null|' + _STRING + rb"),\s*"
_HEAD = re.compile(
    rb'\{"type":\s*"RECORD",\s*"record":\s*\{\s*(?P<before>'
    + _NAMESPACE
    + rb')?"stream":\s*'
    + _STRING
    + rb",\s*(?P<after>"
    + _NAMESPACE
    + rb')?"data":\s*(?=\{)'
)


class ProtocolError(Exception):
    """A line that breaks the protocol in a way that could lose data."""


@dataclass(frozen=True)
class Head:
    """The text before the data of a record.

    namespaced: the namespace is part of the head. When it is not, it may follow the data.
    """

    raw: bytes
    namespace: str | None
    name: str
    namespaced: bool

    @property
    def key(self) -> StreamKey:
        return (self.namespace, self.name)


@dataclass(frozen=True)
class Run:
    """`count` record lines of one stream; each starts with head.raw and ends with a newline."""

    head: Head
    block: bytes
    count: int


@dataclass(frozen=True)
class Line:
    """Any other line, without its newline."""

    text: bytes


def parse_head(line: bytes) -> Head | None:
    """The head of a record line, or None when the line needs a JSON parser."""
    match = _HEAD.match(line)
    if match is None:
        return None
    namespace = match.group(2) if match.group("before") else match.group(5)
    return Head(
        raw=match.group(0),
        namespace=namespace.decode() if namespace else None,
        name=match.group(3).decode(),
        namespaced=bool(match.group("before") or match.group("after")),
    )


def record_head(namespace: str | None, name: str) -> bytes:
    """The head as our connectors and the platform write it."""
    head = b'{"type":"RECORD","record":{"stream":' + orjson.dumps(name)
    if namespace is not None:
        head += b',"namespace":' + orjson.dumps(namespace)
    return head + b',"data":'


class LineRuns:
    """Cuts bytes as they arrive into runs of records and single lines, in order."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._head: Head | None = None

    def feed(self, chunk: bytes) -> Iterator[Run | Line]:
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._rest.append(chunk)
            return
        block = b"".join([*self._rest, chunk[:cut]])
        self._rest = [chunk[cut:]] if cut < len(chunk) else []
        yield from self._runs(block)

    def close(self) -> Iterator[Run | Line]:
        """The last line, when the writer did not end it."""
        rest = b"".join(self._rest)
        self._rest = []
        if rest.strip():
            yield from self._runs(rest + b"\n")

    def _runs(self, block: bytes) -> Iterator[Run | Line]:
        head = self._head
        if head is not None and block.startswith(head.raw):
            # JSON escapes newlines, so a newline always starts a message.
            lines = block.count(b"\n")
            if block.count(b"\n" + head.raw) == lines - 1:
                yield Run(head, block, lines)
                return
        yield from self._by_line(block)

    def _by_line(self, block: bytes) -> Iterator[Run | Line]:
        pending: list[bytes] = []
        for line in block.split(b"\n")[:-1]:
            if self._head is not None and line.startswith(self._head.raw):
                pending.append(line)
                continue
            if pending and self._head is not None:
                yield Run(self._head, b"\n".join(pending) + b"\n", len(pending))
                pending = []
            head = parse_head(line)
            if head is not None:
                self._head = head
                pending.append(line)
            elif line.strip():
                yield Line(line)
        if pending and self._head is not None:
            yield Run(self._head, b"\n".join(pending) + b"\n", len(pending))


def parse_line(line: bytes) -> Message | None:
    """The message, or None for a line that is not one (a stray print of a connector).

    Raises ProtocolError for a broken RECORD or STATE: to ignore it would lose data silently.
    """
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        if line.startswith((b'{"type":"RECORD"', b'{"type": "RECORD"', b'{"type":"STATE"')):
            raise ProtocolError(f"a broken message of {len(line)} bytes") from None
        return None
    return message if isinstance(message, dict) and "type" in message else None


def dump(message: Mapping[str, Any]) -> bytes:
    return orjson.dumps(message) + b"\n"


def log(level: str, message: str) -> Message:
    return {"type": "LOG", "log": {"level": level, "message": message}}


def stream_status(key: StreamKey, status: str, at_ms: int) -> Message:
    """status: STARTED, RUNNING, COMPLETE or INCOMPLETE."""
    return {
        "type": "TRACE",
        "trace": {
            "type": "STREAM_STATUS",
            "emitted_at": at_ms,
            "stream_status": {"stream_descriptor": descriptor(key), "status": status},
        },
    }


def error(message: str, internal: str, failure_type: str, at_ms: int, stack: str = "") -> Message:
    """failure_type: config_error, transient_error or system_error."""
    return {
        "type": "TRACE",
        "trace": {
            "type": "ERROR",
            "emitted_at": at_ms,
            "error": {
                "message": message,
                "internal_message": internal,
                "stack_trace": stack,
                "failure_type": failure_type,
            },
        },
    }


def descriptor(key: StreamKey) -> dict[str, str]:
    namespace, name = key
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}


def stream_key(raw: Mapping[str, Any]) -> StreamKey:
    """Of a stream, a stream descriptor or a record's own fields."""
    return (raw.get("namespace"), raw["name"])


def state_key(state: Mapping[str, Any]) -> StreamKey | None:
    """The stream of a STATE payload; None when it covers the whole connection."""
    if state.get("type", "LEGACY") != "STREAM":
        return None
    return stream_key(state["stream"]["stream_descriptor"])
