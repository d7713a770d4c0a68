"""How much there is, asked of the running services. What cannot be asked is unknown."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.api import ApiError
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.waiting import WorkFailedError
from flow.derive import BUCKET
from flow.model import Layer
from pipeline.summary import DatasetRows, counted
from review.loss import Estimate, Loss

PROBE_S = 1.0  # loopback or the next machine: one that is not there must not hold up a review
OBJECTS_COUNTED = 100_000  # a hundred listings; a larger lake is said to be unknown
FAULTS = (
    ApiError,
    WorkFailedError,
    MinioException,
    urllib3.exceptions.HTTPError,
    OSError,
    LookupError,
)


def reachable(url: str) -> bool:
    """Whether something listens there."""
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        return False
    try:
        socket.create_connection((parts.hostname, parts.port), PROBE_S).close()
    except OSError:
        return False
    return True


@dataclass(kw_only=True)
class Live:
    """The services of a stack; those that do not answer are None.

    services: folder that holds the services' own data on this machine, None elsewhere.
    """

    dremio: DremioClient | None = None
    airbyte: AirbyteClient | None = None
    store: Minio | None = None
    services: Path | None = None
    _datasets: list[DatasetRows] | None = None
    _known: dict[tuple[str, str], Estimate] = field(default_factory=dict)

    def measure(self, loss: Loss) -> Estimate:
        """The size of what `loss` names."""
        if loss.measure not in self._known:
            self._known[loss.measure] = self._ask(*loss.measure)
        return self._known[loss.measure]

    def _ask(self, kind: str, name: str) -> Estimate:
        ways: dict[str, Callable[[str], Estimate]] = {
            "bucket": self._bucket,
            "connection": self._connection,
            "dataset": self._dataset,
            "layers": self._layers,
            "service": self._service,
            "sync": lambda id_: self._read_by([id_]),
        }
        try:
            return ways[kind](name) if kind in ways else Estimate()
        except FAULTS:
            return Estimate()

    def _bucket(self, name: str) -> Estimate:
        rows = self._rows(lambda _found: True) if name == BUCKET else None
        return Estimate(rows=rows, size_bytes=self._size(name, ""))

    def _layers(self, names: str) -> Estimate:
        layers = [Layer(name) for name in names.split(",")]
        sizes = [self._size(BUCKET, f"{layer}/") for layer in layers]
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        return Estimate(rows=self._rows(lambda found: found.layer in layers), size_bytes=total)

    def _dataset(self, path: str) -> Estimate:
        return Estimate(rows=self._rows(lambda found: f"{found.layer}.{found.dataset}" == path))

    def _connection(self, name: str) -> Estimate:
        if self.airbyte is None:
            return Estimate()
        found = self.airbyte.named("/connections", {}, name)
        return self._read_by([connection["connectionId"] for connection in found])

    def _read_by(self, ids: list[str]) -> Estimate:
        """What the syncs of connections have read so far: at most so much is read again."""
        if self.airbyte is None:
            return Estimate()
        jobs = [
            job
            for id_ in ids
            for job in self.airbyte.every("/jobs", {"connectionId": id_, "jobType": "sync"})
            if job.get("status") == "succeeded"
        ]
        return Estimate(
            rows=sum(int(job.get("rowsSynced") or 0) for job in jobs),
            size_bytes=sum(int(job.get("bytesSynced") or 0) for job in jobs),
        )

    def _service(self, name: str) -> Estimate:
        """What its folder takes on disk."""
        if self.services is None:
            return Estimate()
        files = (self.services / name / "data").rglob("*")
        return Estimate(size_bytes=sum(_disk_bytes(file) for file in files))

    def _rows(self, wanted: Callable[[DatasetRows], bool]) -> int | None:
        """Of all datasets that can be read."""
        if self.dremio is None:
            return None
        if self._datasets is None:
            self._datasets = counted(self.dremio)
        rows = [found.rows for found in self._datasets if wanted(found)]
        known = [count for count in rows if count is not None]
        return sum(known) if known else None

    def _size(self, bucket: str, prefix: str) -> int | None:
        if self.store is None:
            return None
        total = 0
        listed = self.store.list_objects(bucket, prefix=prefix, recursive=True)
        for at, found in enumerate(listed):
            if at >= OBJECTS_COUNTED:
                return None
            total += found.size or 0
        return total


def _disk_bytes(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512  # the unit of st_blocks, whatever the file system's
    except OSError:
        return 0  # gone meanwhile
