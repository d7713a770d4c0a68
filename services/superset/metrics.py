"""The specification's two metrics of Superset, in Prometheus' text format.

`superset_query_cache_hit_rate`: share of chart queries of the last five minutes that the cache
answered, with the counters that it comes from. `superset_dashboard_load_time`: histogram, seconds
from opening a dashboard until its last chart was drawn, as browsers report it.

One process serves Superset, so its memory is the registry. More worker processes would need
prometheus_client's multiprocess mode.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

WINDOW_S = 300.0  # of the hit rate
# A browser sends its events every second; a dashboard that said nothing for this long is drawn.
SETTLED_S = 30.0
MAX_OPEN = 10_000  # impressions in memory: nobody needs to finish one
MAX_DASHBOARDS = 500  # label values: they come from the browser and must not grow without end
LOAD_BUCKETS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0)  # specification: < 5 seconds

Clock = Callable[[], float]


class CacheHits:
    """Counts chart queries by who answered them."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, bool]] = deque()
        self._totals = {True: 0, False: 0}

    def add(self, hit: bool) -> None:
        with self._lock:
            self._totals[hit] += 1
            self._recent.append((self._clock(), hit))
            self._forget()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        with self._lock:
            self._forget()
            hits, misses = self._totals[True], self._totals[False]
            recent = [hit for _, hit in self._recent]
        yield CounterMetricFamily(
            "superset_query_cache_hits", "Chart queries answered by the cache", value=hits
        )
        yield CounterMetricFamily(
            "superset_query_cache_misses", "Chart queries answered by the source", value=misses
        )
        rate = GaugeMetricFamily(
            "superset_query_cache_hit_rate",
            "Share of the chart queries of the last 5 minutes that the cache answered",
        )
        if recent:  # without a query there is no rate: no sample rather than a wrong one
            rate.add_metric([], sum(recent) / len(recent))
        yield rate

    def _forget(self) -> None:
        while self._recent and self._recent[0][0] < self._clock() - WINDOW_S:
            self._recent.popleft()


class LoadTimes:
    """Histogram of the time until the last chart of a dashboard was drawn, by dashboard."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # impression -> (dashboard, load time in s, when its last event came)
        self._open: OrderedDict[str, tuple[str, float, float]] = OrderedDict()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """An event that a browser posted to /superset/log; those of other kinds, and those with
        other types of values, are passed over."""
        if event.get("event_name") != "load_chart" or event.get("source") != "dashboard":
            return
        impression, dashboard = event.get("impression_id"), event.get("source_id")
        start, duration = event.get("start_offset"), event.get("duration")
        numbers = isinstance(start, int | float) and isinstance(duration, int | float)
        if not isinstance(impression, str) or not numbers or not str(dashboard).isdigit():
            return
        with self._lock:
            _, until, _ = self._open.pop(impression, ("", 0.0, 0.0))
            until = max(until, (start + duration) / 1000)
            self._open[impression] = (str(dashboard), until, self._clock())
            self._settle()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            self._settle()
            family = HistogramMetricFamily(
                "superset_dashboard_load_time",
                "Seconds until the last chart of a dashboard was drawn",
                labels=["dashboard"],
            )
            for dashboard, counts in sorted(self._counts.items()):
                bounds = [*map(str, LOAD_BUCKETS_S), "+Inf"]
                family.add_metric(
                    [dashboard], list(zip(bounds, counts, strict=True)), self._sums[dashboard]
                )
        yield family

    def _settle(self) -> None:
        """Moves impressions that are over into the histogram; the oldest come first."""
        while self._open:
            impression, (dashboard, load_s, seen) = next(iter(self._open.items()))
            if self._clock() - seen < SETTLED_S and len(self._open) <= MAX_OPEN:
                return
            del self._open[impression]
            if dashboard not in self._counts and len(self._counts) >= MAX_DASHBOARDS:
                continue
            counts = self._counts.setdefault(dashboard, [0] * (len(LOAD_BUCKETS_S) + 1))
            for index, bound in enumerate((*LOAD_BUCKETS_S, float("inf"))):
                counts[index] += load_s <= bound  # cumulative, as Prometheus wants them
            self._sums[dashboard] = self._sums.get(dashboard, 0.0) + load_s


def registry(collectors: Iterable[CacheHits | LoadTimes]) -> CollectorRegistry:
    made = CollectorRegistry()
    for collector in collectors:
        made.register(collector)
    return made
