"""Types of a data flow, and the checks that hold before any service is called.

A flow is plain data. Connections, paths, datasets, dbt sources and dashboards are derived from
it (flow/derive.py); nothing else in the project says which tables exist.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FlowError(ValueError):
    """A flow that cannot work. The text lists every fault, one a line."""


class Layer(StrEnum):
    """Storage layers, in the direction in which data moves (specification, "Storage Layer")."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"

    @property
    def rank(self) -> int:
        return list(Layer).index(self)


class SyncMode(StrEnum):
    """Sync modes of the specification, "Data Extraction Methods", as `read_write`."""

    FULL_REFRESH_OVERWRITE = "full_refresh_overwrite"
    FULL_REFRESH_APPEND = "full_refresh_append"
    INCREMENTAL_APPEND = "incremental_append"
    INCREMENTAL_DEDUP = "incremental_append_dedup"

    @property
    def incremental(self) -> bool:
        return self in (SyncMode.INCREMENTAL_APPEND, SyncMode.INCREMENTAL_DEDUP)


class FileFormat(StrEnum):
    PARQUET = "parquet"
    JSONL = "jsonl"


class Measure(StrEnum):
    """Measures that a Dremio aggregation reflection stores (Dremio REST reference)."""

    SUM = "SUM"
    COUNT = "COUNT"
    MIN = "MIN"
    MAX = "MAX"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A system that data comes from, and one Airbyte connection into bronze.

    connector: `postgres` or `faker`: the Airbyte source connector.
    configuration: settings of the connector that the flow decides (tables come from streams,
        addresses and passwords from the stack).
    partition: last folder of each landing path: Airbyte path variables, for example
        `date=${YEAR}-${MONTH}-${DAY}`.
    schedule: Quartz cron in UTC (six fields), or None: only when the pipeline asks for it.
    """

    name: str
    connector: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    file_format: FileFormat = FileFormat.PARQUET
    partition: str = "date=${YEAR}-${MONTH}-${DAY}"
    schedule: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One table or endpoint that is copied into bronze.

    name: as the source calls it. dataset: the table's name in the bronze space (the stream's
    by default). cursor: field that orders changes; needed by incremental modes. primary_key:
    needed to remove duplicates. pii: columns that hold personal data.
    pii_readers: roles that may see those columns unmasked beyond bronze; by default nobody.
    max_age_hours: data older than this is stale (dbt source freshness).
    retention_days: files of bronze are deleted after so many days, None: never. A row that the
        source has not delivered again within them leaves silver and gold too.
    """

    source: str
    name: str
    sync_mode: SyncMode
    cursor: str | None = None
    primary_key: tuple[str, ...] = ()
    dataset: str = ""
    pii: tuple[str, ...] = ()
    pii_readers: tuple[str, ...] = ()
    max_age_hours: int = 26
    retention_days: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", self.dataset or self.name)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A dbt model: `inputs` are bronze datasets or other models, by name."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RawReflection:
    """A stored selection of columns (specification, "Acceleration by Reflections").

    dataset: `layer.name`, such as `bronze.customers`.
    """

    name: str
    dataset: str
    display: tuple[str, ...]
    refresh_hours: int = 1


@dataclass(frozen=True, kw_only=True)
class AggregationReflection:
    """Stored totals by dimension. COUNT(*) is always stored, AVG follows from SUM and COUNT."""

    name: str
    dataset: str
    dimensions: tuple[str, ...]
    measures: Mapping[str, tuple[Measure, ...]]
    refresh_hours: int = 1


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart over one gold dataset.

    kind: `line` and `bar` (metric by dimension), `big_number` (metric alone), `table`.
    metric: SQL aggregate, such as `SUM(daily_revenue)`. dimension: column, or "" for none.
    columns: columns of a `table`. order_by: the column by which it is sorted, largest first.
    """

    name: str
    dataset: str
    kind: str
    metric: str = ""
    dimension: str = ""
    columns: tuple[str, ...] = ()
    order_by: str = ""
    width: int = 6  # of the 12 columns of a dashboard row


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A Superset dashboard: rows of charts."""

    slug: str
    title: str
    rows: tuple[tuple[Chart, ...], ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        return tuple(chart for row in self.rows for chart in row)


CHART_KINDS = ("big_number", "line", "bar", "table")
CONNECTORS = ("postgres", "faker")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_CRON = re.compile(r"\d+( \S+){5}\Z")  # Airbyte: the seconds field must be a number


@dataclass(frozen=True, kw_only=True)
class DataFlow:
    """Everything that moves, in one value. Raises FlowError with all faults at once.

    residency: regions of object stores in which the data may be kept.
    """

    name: str
    sources: tuple[Source, ...]
    streams: tuple[Stream, ...]
    models: tuple[Model, ...] = ()
    reflections: tuple[RawReflection | AggregationReflection, ...] = ()
    dashboards: tuple[Dashboard, ...] = ()
    residency: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise FlowError(f"flow {self.name!r}:\n  " + "\n  ".join(faults))

    def streams_of(self, source: str) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.source == source)

    def layers(self) -> dict[str, Layer]:
        """dict dataset or model name -> the layer it is in."""
        return {stream.dataset: Layer.BRONZE for stream in self.streams} | {
            model.name: model.layer for model in self.models
        }


def _faults(flow: DataFlow) -> Iterator[str]:
    yield from _bad_names(flow)
    for source in flow.sources:
        yield from _source_faults(source, flow)
    for stream in flow.streams:
        yield from _stream_faults(stream, flow)
    for model in flow.models:
        yield from _model_faults(model, flow.layers())
    for reflection in flow.reflections:
        yield from _reflection_faults(reflection, flow)
    for dashboard in flow.dashboards:
        for chart in dashboard.charts:
            yield from _chart_faults(chart, dashboard, flow)


def _bad_names(flow: DataFlow) -> Iterator[str]:
    groups: Mapping[str, Iterable[str]] = {
        "source": (source.name for source in flow.sources),
        "dataset": (
            *(stream.dataset for stream in flow.streams),
            *(model.name for model in flow.models),
        ),
        "reflection": (reflection.name for reflection in flow.reflections),
        "dashboard": (dashboard.slug.replace("-", "_") for dashboard in flow.dashboards),
    }
    for kind, names in groups.items():
        for name, count in Counter(names).items():
            if not _NAME.match(name):
                yield f"{kind} {name!r}: expected lower-case letters, digits and _"
            if count > 1:
                yield f"{kind} {name!r}: declared {count} times, expected once"


def _source_faults(source: Source, flow: DataFlow) -> Iterator[str]:
    if source.connector not in CONNECTORS:
        yield _unknown(f"source {source.name!r}: connector", source.connector, CONNECTORS)
    if source.schedule is not None and not _CRON.match(source.schedule):
        yield (
            f"source {source.name!r}: schedule {source.schedule!r}: expected a Quartz cron of "
            "six fields, seconds first, such as '0 0 1 * * ?'"
        )
    if not flow.streams_of(source.name):
        yield f"source {source.name!r}: has no stream: add a Stream or remove the source"


def _stream_faults(stream: Stream, flow: DataFlow) -> Iterator[str]:
    place = f"stream {stream.source}.{stream.name}"
    names = [source.name for source in flow.sources]
    if stream.source not in names:
        yield _unknown(f"{place}: source", stream.source, names)
    if stream.sync_mode.incremental and not stream.cursor:
        yield f"{place}: sync mode {stream.sync_mode} needs a cursor, such as cursor='updated_at'"
    if stream.sync_mode is SyncMode.INCREMENTAL_DEDUP and not stream.primary_key:
        yield f"{place}: sync mode {stream.sync_mode} needs a primary_key, such as ('id',)"
    if stream.max_age_hours < 1:
        yield f"{place}: max_age_hours {stream.max_age_hours}: expected 1 or more"
    if stream.pii_readers and not stream.pii:
        yield f"{place}: pii_readers {', '.join(stream.pii_readers)}: but it names no pii columns"
    if stream.retention_days is not None and stream.retention_days < 1:
        yield f"{place}: retention_days {stream.retention_days}: expected 1 or more, or None"


def _model_faults(model: Model, layers: Mapping[str, Layer]) -> Iterator[str]:
    if model.layer is Layer.BRONZE:
        yield f"model {model.name!r}: layer bronze: expected silver or gold, sources write bronze"
    if not model.inputs:
        yield f"model {model.name!r}: inputs is empty: name the datasets it reads"
    for name in model.inputs:
        if name not in layers:
            yield _unknown(f"model {model.name!r}: input", name, sorted(layers))
        elif layers[name].rank > model.layer.rank:
            yield (
                f"model {model.name!r}: layer {model.layer} reads {name!r} of layer "
                f"{layers[name]}: data moves bronze -> silver -> gold only"
            )


def _reflection_faults(
    reflection: RawReflection | AggregationReflection, flow: DataFlow
) -> Iterator[str]:
    place = f"reflection {reflection.name!r}"
    yield from _dataset_faults(place, reflection.dataset, flow)
    if reflection.refresh_hours < 1:
        yield f"{place}: refresh_hours {reflection.refresh_hours}: Dremio's minimum is 1"
    if isinstance(reflection, RawReflection) and not reflection.display:
        yield f"{place}: display is empty: name the columns to store"
    if isinstance(reflection, AggregationReflection) and not reflection.dimensions:
        yield f"{place}: dimensions is empty: name the columns to group by"


def _chart_faults(chart: Chart, dashboard: Dashboard, flow: DataFlow) -> Iterator[str]:
    place = f"chart {dashboard.slug}/{chart.name}"
    yield from _dataset_faults(place, chart.dataset, flow)
    if chart.kind not in CHART_KINDS:
        yield _unknown(f"{place}: kind", chart.kind, CHART_KINDS)
    if chart.kind == "table" and not chart.columns:
        yield f"{place}: kind table needs columns"
    if chart.order_by and chart.order_by not in chart.columns:
        yield _unknown(f"{place}: order_by", chart.order_by, chart.columns)
    if chart.kind != "table" and not chart.metric:
        yield f"{place}: kind {chart.kind} needs a metric, such as 'SUM(amount)'"
    if chart.kind in ("line", "bar") and not chart.dimension:
        yield f"{place}: kind {chart.kind} needs a dimension"
    if not 1 <= chart.width <= 12:
        yield f"{place}: width {chart.width}: expected 1 to 12"


def _dataset_faults(place: str, dataset: str, flow: DataFlow) -> Iterator[str]:
    known = sorted(f"{layer}.{name}" for name, layer in flow.layers().items())
    if dataset not in known:
        yield _unknown(f"{place}: dataset", dataset, known)


def _unknown(place: str, value: str, valid: Iterable[str]) -> str:
    return f"{place} {value!r}: unknown, expected one of {', '.join(valid)}"
