"""Logs of syncs as documents in Elasticsearch, in bulk, never in the way of a sync.

Specification, "Elasticsearch Document Storage": index airbyte-logs-YYYY.MM.DD, eight fields.
"""

import logging
import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from embedded.airbyte.settings import Elasticsearch

MAPPINGS = {
    "properties": {
        "timestamp": {"type": "date"},
        "level": {"type": "keyword"},
        "service": {"type": "keyword"},
        "message": {"type": "text"},
        "job_id": {"type": "keyword"},
        "connection_id": {"type": "keyword"},
        "records_synced": {"type": "integer"},
        "bytes_synced": {"type": "long"},
    }
}
QUEUE_DOCUMENTS = 20_000
BULK_DOCUMENTS = 1_000
BULK_WAIT_S = 1.0
RETRY_WAIT_S = 2.0
RETRIES = 5
TIMEOUT_S = 15.0
INTEGER_MAX = 2**31 - 1  # records_synced is an integer in the specification

_log = logging.getLogger(__name__)


class SyncLogs:
    """A queue and one thread. When the queue is full, documents are dropped and counted."""

    def __init__(self, settings: Elasticsearch | None) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(QUEUE_DOCUMENTS)
        self._stopping = threading.Event()
        self._indices: set[str] = set()
        self.dropped = 0
        self._thread: threading.Thread | None = None
        if settings is None:
            return
        auth = None
        if settings.username is not None and settings.password is not None:
            auth = httpx.BasicAuth(settings.username, settings.password)
        self._http = httpx.Client(base_url=settings.url, auth=auth, timeout=TIMEOUT_S)
        self._thread = threading.Thread(target=self._run, name="sync-logs", daemon=True)
        self._thread.start()

    def add(
        self,
        level: str,
        service: str,
        message: str,
        job_id: int,
        connection_id: str,
        totals: Mapping[str, int],
    ) -> None:
        """totals: records_committed and bytes_committed of the attempt so far."""
        if self._thread is None:
            return
        document = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "service": service,
            "message": message,
            "job_id": str(job_id),
            "connection_id": connection_id,
            "records_synced": min(totals["records_committed"], INTEGER_MAX),
            "bytes_synced": totals["bytes_committed"],
        }
        try:
            self._queue.put_nowait(document)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float) -> None:
        """Sends what is queued, for `timeout_s` at most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            batch = self._batch()
            if batch:
                self._send(batch)

    def _batch(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        try:
            batch.append(self._queue.get(timeout=BULK_WAIT_S))
            while len(batch) < BULK_DOCUMENTS:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _send(self, batch: list[dict[str, Any]]) -> None:
        for attempt in range(RETRIES):
            try:
                self._bulk(batch)
            except httpx.HTTPError as fault:
                _log.warning("sync logs: %s: %s", type(fault).__name__, fault)
                if attempt + 1 < RETRIES and not self._stopping.wait(RETRY_WAIT_S * 2**attempt):
                    continue
                self.dropped += len(batch)
            return

    def _bulk(self, batch: list[dict[str, Any]]) -> None:
        lines: list[bytes] = []
        for document in batch:
            index = f"airbyte-logs-{document['timestamp'][:10].replace('-', '.')}"
            self._ensure(index)
            # "create" is all that an append-only role may do.
            lines += [orjson.dumps({"create": {"_index": index}}), orjson.dumps(document)]
        answer = self._http.post(
            "/_bulk",
            content=b"\n".join(lines) + b"\n",
            headers={"Content-Type": "application/x-ndjson"},
        )
        answer.raise_for_status()
        if answer.json().get("errors"):
            reasons = {
                i["create"]["error"]["type"]
                for i in answer.json()["items"]
                if "error" in i["create"]
            }
            self.dropped += sum("error" in i["create"] for i in answer.json()["items"])
            _log.warning("sync logs: refused documents: %s", ", ".join(sorted(reasons)))

    def _ensure(self, index: str) -> None:
        """Creates the day's index: without the mapping, `level` would be analysed text."""
        if index in self._indices:
            return
        answer = self._http.put(f"/{index}", json={"mappings": MAPPINGS})
        exists = answer.status_code == 400 and "already_exists" in answer.text
        if not exists:
            answer.raise_for_status()
        self._indices.add(index)
