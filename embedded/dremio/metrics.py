"""Metrics for Prometheus. Names: specification, "Key Metrics to Monitor"."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.query = Histogram(
            "dremio_query_duration_seconds",
            "Time from submission to the end of a query",
            ("query_type", "outcome", "accelerated"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.refresh = Histogram(
            "dremio_reflection_refresh_seconds",
            "Time to materialise a reflection",
            ("reflection", "outcome"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.logins = Counter(
            "dremio_logins", "Attempts to log in", ("outcome",), registry=self._registry
        )

    def text(self) -> bytes:
        return generate_latest(self._registry)
