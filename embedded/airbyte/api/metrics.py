"""Prometheus metrics, read from the job tables at each scrape: a restart loses nothing.

Names: specification, "Key Metrics to Track".
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from embedded.airbyte.store.database import Pool, Row

LABELS = ("connection_id", "connection_name")
BUCKETS_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)

_TOTALS = """
SELECT c.id, c.name, count(*) FILTER (WHERE j.status = 'failed') AS failures,
       coalesce(sum(a.records), 0)::bigint AS records
FROM airbyte_connection c
LEFT JOIN airbyte_job j ON j.connection_id = c.id AND j.job_type = 'sync'
LEFT JOIN LATERAL (SELECT sum(records_committed) AS records FROM airbyte_attempt
                   WHERE job_id = j.id) a ON TRUE
GROUP BY c.id, c.name ORDER BY c.id
"""
_DURATIONS = """
SELECT c.id, c.name, count(d.s) AS n, coalesce(sum(d.s), 0)::float AS total,
       ARRAY(SELECT count(*) FILTER (WHERE s <= bound)
             FROM unnest(array_agg(d.s)) s, unnest(%s::float[]) WITH ORDINALITY b(bound, place)
             GROUP BY place ORDER BY place) AS counts
FROM airbyte_connection c
JOIN LATERAL (SELECT extract(epoch FROM j.updated_at - j.started_at)::float AS s
              FROM airbyte_job j WHERE j.connection_id = c.id AND j.job_type = 'sync'
              AND j.status IN ('succeeded', 'failed') AND j.started_at IS NOT NULL) d ON TRUE
GROUP BY c.id, c.name ORDER BY c.id
"""


class SyncCollector(Collector):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        with self._pool.connection() as db:
            totals = list(db.execute(_TOTALS))
            durations = list(db.execute(_DURATIONS, [list(BUCKETS_S)]))
        records = CounterMetricFamily(
            "airbyte_records_synced", "Records committed by syncs.", labels=LABELS
        )
        failures = CounterMetricFamily(
            "airbyte_sync_failures", "Syncs that failed after their last attempt.", labels=LABELS
        )
        for row in totals:
            records.add_metric(_labels(row), row["records"])
            failures.add_metric(_labels(row), row["failures"])
        duration = HistogramMetricFamily(
            "airbyte_sync_duration_seconds",
            "Time of ended syncs, retries included.",
            labels=LABELS,
        )
        for row in durations:
            pairs = zip(map(str, map(float, BUCKETS_S)), row["counts"], strict=True)
            buckets = [*((bound, float(n)) for bound, n in pairs), ("+Inf", float(row["n"]))]
            duration.add_metric(_labels(row), buckets, row["total"])
        yield from (records, failures, duration)


def _labels(row: Row) -> tuple[str, str]:
    return (str(row["id"]), row["name"])


def render(pool: Pool) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SyncCollector(pool))
    return generate_latest(registry)
