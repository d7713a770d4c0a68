"""Metrics of products that have none of their own, or not these: read from their public APIs.

One exporter per product, which Prometheus scrapes under the product's name: no answer from it is
no answer from the product. Names of metrics: specification, "Key Metrics to Track".
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import psycopg
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.airbyte.connection import GONE
from dynamic_providers.api import ApiError
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.waiting import WorkFailedError
from pipeline import clients
from pipeline.config import Config, DatabaseConfig, SearchConfig, StoreConfig, secret
from pipeline.history import History
from pipeline.progress import StepError

TIMEOUT_S = 10.0
# How far back jobs are listed again: one that ended before the last look may be told late.
SYNCS_AGAIN = timedelta(minutes=10)
QUERIES_AGAIN = timedelta(hours=1)  # by their submission
QUERY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
SYNC_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)
SYNC_ENDED = ("succeeded", "failed", "incomplete", "cancelled")
WAITING = ("PENDING", "SETUP", "QUEUED", "ENQUEUED", "ENGINE_START")
FAULTS = (ApiError, WorkFailedError, StepError, OSError, httpx.HTTPError, psycopg.Error)

_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>[\d.]+)S)?)?"
)
# Without the exporter's own, of which there is one per scrape.
JOBS = """
    SELECT job_id, status, query_type, accelerated, submitted_epoch_millis,
        final_state_epoch_millis
    FROM sys.jobs_recent
    WHERE query NOT LIKE '%sys.jobs_recent%' AND submitted_epoch_millis > {since}
"""


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """The scrape before this one still waits for the product's answer."""


class Exporter:
    """The metrics of one product, as text. One scrape at a time."""

    def __init__(self, *collectors: Collector) -> None:
        self._lock = threading.Lock()
        # auto_describe is off: registering must not need the product.
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)

    def text(self) -> bytes:
        """Raises Busy, and one of FAULTS when the product does not answer."""
        if not self._lock.acquire(blocking=False):
            raise Busy
        try:
            return generate_latest(self._registry)
        finally:
            self._lock.release()


def exporters(config: Config) -> Mapping[str, Exporter]:
    """dict service -> its exporter."""
    dremio = clients.dremio(config.dremio)
    found = {
        "airbyte": Exporter(SyncMetrics(clients.airbyte(config.airbyte))),
        "dremio": Exporter(
            JobMetrics(dremio), ReflectionMetrics(dremio, config.dremio.reflection_datasets)
        ),
        "postgres": Exporter(DatabaseMetrics(config.database)),
    }
    if config.lake is not None:
        found["lake-backup"] = Exporter(CopyMetrics(config.lake, datetime.now(UTC)))
    if config.search is not None:
        found["elasticsearch"] = Exporter(ClusterMetrics(config.search))
    return found


class DatabaseMetrics(Collector):
    """Open connections of PostgreSQL, which every role may count; states of those of others it
    may not see. How the archive of its log does."""

    def __init__(self, config: DatabaseConfig) -> None:
        self._config = config

    def collect(self) -> Iterator[Metric]:
        active = GaugeMetricFamily(
            "postgres_connections_active", "Open connections", labels=("database",)
        )
        with History(self._config.login(), "postgres metrics") as history:
            for database, count in history.connections().items():
                active.add_metric((database,), count)
            limit, (done, failed) = history.connection_limit(), history.archived()
        yield active
        yield GaugeMetricFamily(
            "postgres_connections_limit", "Most connections of other than superusers", value=limit
        )
        yield GaugeMetricFamily(
            "postgres_archive_success_timestamp_seconds",
            "When a part of the write-ahead log was archived last; 0: never",
            value=done,
        )
        yield GaugeMetricFamily(
            "postgres_archive_failure_timestamp_seconds",
            "When archiving a part of the write-ahead log failed last; 0: never",
            value=failed,
        )


class CopyMetrics(Collector):
    """When the lake was copied last, which the copy notes in the lake itself: for this, nobody
    else needs an account of the place where backups are."""

    def __init__(self, lake: StoreConfig, since: datetime) -> None:
        """since: when a copy is waited for, as long as there is none."""
        # Its client is slow to import, and most stacks have no backup store.
        from pipeline import mirror

        self._last_copied = partial(mirror.last_copied, mirror.connect(lake))
        self._since = since

    def collect(self) -> Iterator[Metric]:
        copied = self._last_copied() or self._since
        yield GaugeMetricFamily(
            "lake_backup_timestamp_seconds",
            "When the last copy of the lake was complete, or since when one is waited for",
            value=copied.timestamp(),
        )


class ClusterMetrics(Collector):
    """Health and disks of Elasticsearch, and when its last snapshot was taken."""

    def __init__(self, config: SearchConfig) -> None:
        self._snapshots = config.snapshots
        self._http = httpx.Client(
            base_url=config.url,
            auth=(config.username, secret(config.password_file)),
            timeout=TIMEOUT_S,
        )

    def collect(self) -> Iterator[Metric]:
        health = self._ask("/_cluster/health")
        status = GaugeMetricFamily(
            "elasticsearch_cluster_health_status", "1 for the cluster's colour", labels=("color",)
        )
        for color in ("green", "yellow", "red"):
            status.add_metric((color,), float(health["status"] == color))
        yield status
        yield GaugeMetricFamily(
            "elasticsearch_cluster_nodes", "Nodes in the cluster", value=health["number_of_nodes"]
        )
        disks = self._ask("/_nodes/stats/fs")["nodes"]
        for part in ("available", "total"):
            family = GaugeMetricFamily(
                f"elasticsearch_disk_{part}_bytes", f"Disk of a node, {part}", labels=("node",)
            )
            for node in disks.values():
                family.add_metric((node["name"],), node["fs"]["total"][f"{part}_in_bytes"])
            yield family
        if self._snapshots:
            yield GaugeMetricFamily(
                "elasticsearch_snapshot_timestamp_seconds",
                "End of the last snapshot that succeeded, or since when one is to be taken; "
                "0: nothing takes any",
                value=self._last_snapshot(self._snapshots),
            )

    def _last_snapshot(self, policy: str) -> float:
        answer = self._http.get(f"/_slm/policy/{policy}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0.0
        found = answer.raise_for_status().json()[policy]
        taken = found.get("last_success", {}).get("time", found["modified_date_millis"])
        return float(taken) / 1000

    def _ask(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(path).raise_for_status().json()
        return found


class SyncMetrics(Collector):
    """Syncs of Airbyte: the first scrape counts all that it remembers, the others what ended."""

    def __init__(self, client: AirbyteClient) -> None:
        self._client = client
        self._registry = CollectorRegistry()
        labels = ("connection_name",)
        self._records = Counter(
            "airbyte_records_synced", "Records committed", labels, registry=self._registry
        )
        self._failures = Counter(
            "airbyte_sync_failures", "Syncs that failed", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "airbyte_sync_duration_seconds",
            "Time of ended syncs, retries included",
            labels,
            buckets=SYNC_S,
            registry=self._registry,
        )
        self._looked: datetime | None = None
        self._counted: set[int] = set()
        self._last: dict[str, tuple[datetime, bool]] = {}  # connection -> end, success
        self._success: dict[str, datetime] = {}

    def collect(self) -> Iterator[Metric]:
        listed = self._client.every("/connections", {})
        names = {c["connectionId"]: str(c["name"]) for c in listed if c["status"] != GONE}
        for name in names.values():
            self._records.labels(name)
            self._failures.labels(name)
        self._count(names)
        yield from self._registry.collect()
        last = GaugeMetricFamily(
            "airbyte_connection_last_sync_success",
            "1 if the newest sync that ended succeeded, else 0",
            labels=("connection_name",),
        )
        success = GaugeMetricFamily(
            "airbyte_connection_last_success_timestamp_seconds",
            "When the newest successful sync ended",
            labels=("connection_name",),
        )
        for name in names.values():  # not of one that has been deleted
            if name in self._last:
                last.add_metric((name,), float(self._last[name][1]))
            if name in self._success:
                success.add_metric((name,), self._success[name].timestamp())
        yield from (last, success)

    def _count(self, names: Mapping[str, str]) -> None:
        now = datetime.now(UTC)
        wanted = {"jobType": "sync"}
        if self._looked is not None:
            wanted["updatedAtStart"] = (self._looked - SYNCS_AGAIN).strftime("%Y-%m-%dT%H:%M:%SZ")
        counted = set()
        for job in self._client.every("/jobs", wanted):
            name, id_ = names.get(str(job["connectionId"])), int(job["jobId"])
            if name is None or job["status"] not in SYNC_ENDED or not job.get("lastUpdatedAt"):
                continue
            counted.add(id_)
            if id_ not in self._counted:
                self._add(name, job, datetime.fromisoformat(job["lastUpdatedAt"]))
        self._looked, self._counted = now, counted

    def _add(self, name: str, job: Mapping[str, Any], ended: datetime) -> None:
        good = job["status"] == "succeeded"
        self._records.labels(name).inc(float(job.get("rowsSynced") or 0))
        self._failures.labels(name).inc(job["status"] in ("failed", "incomplete"))
        if job.get("duration"):
            self._seconds.labels(name).observe(seconds(job["duration"]))
        # A cancelled sync says nothing about the next one.
        if job["status"] != "cancelled" and (
            name not in self._last or ended >= self._last[name][0]
        ):
            self._last[name] = (ended, good)
        if good:
            self._success[name] = max(ended, self._success.get(name, ended))


def seconds(duration: str) -> float:
    """An ISO 8601 duration, such as PT8H6M12S; 0 for another form."""
    found = _DURATION.fullmatch(duration)
    parts = {k: float(v) for k, v in (found.groupdict() if found else {}).items() if v}
    return timedelta(**parts).total_seconds()


class JobMetrics(Collector):
    """Queries of Dremio: how many wait, and how long those took that ended."""

    def __init__(self, client: DremioClient) -> None:
        self._client = client
        self._registry = CollectorRegistry()
        self._query = Histogram(
            "dremio_query_duration_seconds",
            "Time from submission to the end of a query",
            ("query_type", "outcome", "accelerated"),
            buckets=QUERY_S,
            registry=self._registry,
        )
        self._refresh = Histogram(
            "dremio_reflection_refresh_seconds",
            "Time to materialise a reflection",
            ("outcome",),
            buckets=QUERY_S,
            registry=self._registry,
        )
        self._counted: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        since = int((datetime.now(UTC) - QUERIES_AGAIN).timestamp() * 1000)
        jobs = self._client.rows(JOBS.format(since=since))
        ended = {str(job["job_id"]): job for job in jobs if job["final_state_epoch_millis"]}
        for id_ in ended.keys() - self._counted:
            self._add(ended[id_])
        self._counted = set(ended)
        running = [str(job["status"]) for job in jobs if not job["final_state_epoch_millis"]]
        waiting = sum(status in WAITING for status in running)
        yield from self._registry.collect()
        yield GaugeMetricFamily("dremio_jobs_waiting", "Queries in the queue", value=waiting)
        yield GaugeMetricFamily(
            "dremio_jobs_active", "Queries under way", value=len(running) - waiting
        )

    def _add(self, job: Mapping[str, Any]) -> None:
        took = int(job["final_state_epoch_millis"]) - int(job["submitted_epoch_millis"])
        kind, outcome = str(job["query_type"]), str(job["status"])
        if kind.startswith("ACCELERATOR"):
            self._refresh.labels(outcome).observe(took / 1000)
        else:
            accelerated = str(job["accelerated"]).lower()
            self._query.labels(kind, outcome, accelerated).observe(took / 1000)


class ReflectionMetrics(Collector):
    """State of each enabled reflection of `datasets`, in Dremio's words."""

    def __init__(self, client: DremioClient, datasets: Sequence[Sequence[str]]) -> None:
        self._client = client
        self._datasets = datasets

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily(
            "dremio_reflection_status",
            "1 for the state of a reflection",
            labels=("reflection", "dataset", "status"),
        )
        for path in self._datasets:
            dataset = self._client.by_path(path)
            if dataset is None:
                continue
            listed = self._client.send("GET", f"/dataset/{dataset['id']}/reflection") or {}
            for reflection in listed.get("data") or ():
                if reflection["enabled"]:
                    status = reflection["status"].get("combinedStatus", "")
                    gauge.add_metric((reflection["name"], ".".join(path), status), 1)
        yield gauge
