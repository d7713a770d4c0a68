"""Writing: buffers per stream, objects when they are large enough, states once durable."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from embedded.airbyte import protocol
from embedded.airbyte.connectors.destination_s3 import paths
from embedded.airbyte.connectors.destination_s3.objects import (
    GENERATION,
    STREAM,
    Objects,
    stream_metadata,
)
from embedded.airbyte.connectors.destination_s3.parts import JsonlPart, ParquetPart, Part
from embedded.airbyte.connectors.destination_s3.records import RecordLines, RecordTable
from embedded.airbyte.connectors.destination_s3.settings import ParquetFormat, Settings
from embedded.airbyte.connectors.runtime import ConnectorError, emit
from embedded.airbyte.protocol import StreamKey

MODES = ("overwrite", "append")


class StreamWriter:
    """One stream. received and durable count records; durable ones are in finished objects."""

    def __init__(
        self, configured: Mapping[str, Any], settings: Settings, objects: Objects, at: datetime
    ) -> None:
        self._key = protocol.stream_key(configured["stream"])
        self._settings = settings
        self._objects = objects
        self._json_schema = configured["stream"].get("json_schema") or {}
        self._sync_id = int(configured.get("sync_id") or 0)
        self._generation_id = int(configured.get("generation_id") or 0)
        self._minimum_generation_id = int(configured.get("minimum_generation_id") or 0)
        self._part: Part | None = None
        self._part_number = 0
        self.received = 0
        self.durable = 0
        self.ended = False
        self._target = paths.Target(
            namespace=self._key[0],
            stream=self._key[1],
            at=at,
            sync_id=self._sync_id,
            extension=settings.format.extension,
        )
        # Rendered once: ${UUID} names the folder of the whole sync.
        self._path = paths.path(settings.path_format, self._target)

    @property
    def memory(self) -> int:
        return self._part.memory if self._part else 0

    def add(self, run: protocol.Run) -> None:
        if self._part is None:
            self._part = self._new_part()
        self._part.add(run.block, run.count)
        self.received += run.count

    @property
    def full(self) -> bool:
        return self._part is not None and self._part.size() >= self._settings.file_bytes

    def spill(self) -> None:
        if self._part is not None:
            self._part.spill()

    def flush(self) -> None:
        """Makes every record received so far durable."""
        if self._part is not None:
            part, self._part = self._part, None
            try:
                part.close()
                metadata = {
                    GENERATION: str(self._generation_id),
                    STREAM: stream_metadata(self._key),
                }
                self._objects.put(self._free_key(), part.path, part.content_type, metadata)
            finally:
                part.path.unlink()
        self.durable = self.received

    def complete(self) -> None:
        """The source sent everything: older generations can go."""
        self.flush()
        if self._minimum_generation_id:
            prefix = paths.static_prefix(self._settings.path_format, self._target)
            self._objects.remove_older(prefix, self._key, self._minimum_generation_id)
        self.ended = True

    def incomplete(self) -> None:
        self.flush()
        self.ended = True

    def _new_part(self) -> Part:
        options = self._settings.format
        if isinstance(options, ParquetFormat):
            table = RecordTable(
                self._json_schema, sync_id=self._sync_id, generation_id=self._generation_id
            )
            return ParquetPart(table, options)
        lines = RecordLines(
            sync_id=self._sync_id, generation_id=self._generation_id, flatten=options.flatten
        )
        return JsonlPart(lines, options)

    def _free_key(self) -> str:
        """The next name that no object has: an earlier attempt of the sync, or an earlier sync
        in the same folder, may have used the first ones."""
        pattern = self._settings.file_name_pattern
        while True:
            name = paths.file_name(pattern, self._target, self._part_number)
            if self._part_number and not paths.has_part_number(pattern):
                name = paths.numbered(name, self._part_number, self._target.extension)
            self._part_number += 1
            key = self._path + name
            if not self._objects.exists(key):
                return key


@dataclass(frozen=True)
class PendingState:
    """A STATE to echo once each stream in `needs` has so many durable records."""

    message: dict[str, Any]
    needs: Mapping[StreamKey, int]


class Writer:
    """All streams of one sync."""

    def __init__(
        self, catalog: Mapping[str, Any], settings: Settings, objects: Objects, at: datetime
    ) -> None:
        self._settings = settings
        self._streams: dict[StreamKey, StreamWriter] = {}
        self._states: dict[StreamKey | None, deque[PendingState]] = {}
        self._counted: dict[StreamKey, int] = {}
        for configured in catalog["streams"]:
            mode = configured["destination_sync_mode"]
            key = protocol.stream_key(configured["stream"])
            if mode not in MODES:
                raise ConnectorError(
                    f"stream {key[1]}: destination_sync_mode {mode!r}: expected one of "
                    f"{', '.join(MODES)}; deduplicate in a model that reads the appended rows"
                )
            self._streams[key] = StreamWriter(configured, settings, objects, at)

    def records(self, run: protocol.Run) -> None:
        stream = self._stream(run.head.key)
        stream.add(run)
        if stream.full:
            stream.flush()
            self._release()
        if sum(s.memory for s in self._streams.values()) > self._settings.buffer_bytes:
            max(self._streams.values(), key=lambda s: s.memory).spill()

    def message(self, message: dict[str, Any]) -> None:
        if message["type"] == "STATE":
            self._state(message)
        elif message["type"] == "RECORD":
            self._record(message)
        elif message["type"] == "TRACE" and message["trace"].get("type") == "STREAM_STATUS":
            self._status(message["trace"]["stream_status"])

    def finish(self) -> None:
        """Raises ConnectorError when the input ended before some stream did."""
        open_ = [key[1] for key, stream in self._streams.items() if not stream.ended]
        for stream in self._streams.values():
            stream.flush()
        self._release()
        if open_:
            raise ConnectorError(
                f"Input was fully read, but some streams did not receive a terminal stream "
                f"status message: {', '.join(sorted(open_))}",
                "transient_error",
            )

    def _stream(self, key: StreamKey) -> StreamWriter:
        if key not in self._streams:
            raise ConnectorError(f"stream {key}: not in the catalog", "system_error")
        return self._streams[key]

    def _record(self, message: dict[str, Any]) -> None:
        """A record line in an unusual form."""
        record = message["record"]
        namespace, name = protocol.stream_key({**record, "name": record["stream"]})
        raw = protocol.record_head(namespace, name)
        head = protocol.Head(raw=raw, namespace=namespace, name=name, namespaced=True)
        self.records(protocol.Run(head, protocol.dump(message), 1))

    def _status(self, status: Mapping[str, Any]) -> None:
        stream = self._stream(protocol.stream_key(status["stream_descriptor"]))
        if status["status"] == "COMPLETE":
            stream.complete()
        elif status["status"] == "INCOMPLETE":
            stream.incomplete()
        self._release()

    def _state(self, message: dict[str, Any]) -> None:
        key = protocol.state_key(message["state"])
        covered = self._streams if key is None else {key: self._stream(key)}
        needs = {each: stream.received for each, stream in covered.items()}
        count = sum(received - self._counted.get(each, 0) for each, received in needs.items())
        self._counted.update(needs)
        message["state"]["destinationStats"] = {
            "recordCount": float(count),
            "rejectedRecordCount": 0.0,
        }
        self._states.setdefault(key, deque()).append(PendingState(message, needs))
        self._release()

    def _release(self) -> None:
        """Echoes, in order, the states whose records are durable."""
        for waiting in self._states.values():
            while waiting and self._is_durable(waiting[0]):
                emit(waiting.popleft().message)

    def _is_durable(self, state: PendingState) -> bool:
        return all(self._streams[key].durable >= need for key, need in state.needs.items())
