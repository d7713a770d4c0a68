"""The flow that adoption lists amount to, and what of them a flow cannot say.

A flow decides names, paths and layout by itself (flow/derive.py), so an entry means the same data
but not always the same objects: the differences are in the remarks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adoption.dremio import tables_of
from adoption.estate import slug
from adoption.listing import ID, SECRET, Adopted, Listing
from dynamic_providers.handler import Props
from flow.model import (
    CONNECTORS,
    AggregationReflection,
    Chart,
    Dashboard,
    DataFlow,
    FileFormat,
    Layer,
    Measure,
    Model,
    RawReflection,
    Source,
    Stream,
    SyncMode,
)

STREAM_FOLDER = "${STREAM_NAME}/"
FORMATS = {"Parquet": FileFormat.PARQUET, "JSONL": FileFormat.JSONL, "JSON": FileFormat.JSONL}
MODES = {
    "full_refresh_overwrite": SyncMode.FULL_REFRESH_OVERWRITE,
    "full_refresh_append": SyncMode.FULL_REFRESH_APPEND,
    "incremental_append": SyncMode.INCREMENTAL_APPEND,
    "incremental_deduped_history": SyncMode.INCREMENTAL_DEDUP,
}
# Of a connector's settings, those that the stack gives (components/ingestion/connections.py).
ADDRESS = frozenset({"sourceType", "host", "port", "database", "username", "password"})
KINDS = {
    "big_number_total": "big_number",
    "echarts_timeseries_line": "line",
    "echarts_timeseries_bar": "bar",
    "table": "table",
}
HOUR_MS = 3_600_000


@dataclass
class Draft:
    """A flow in the making. remarks: what it cannot say, a line each."""

    sources: dict[str, Source] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)  # by dataset
    models: dict[str, Model] = field(default_factory=dict)
    reflections: dict[str, RawReflection | AggregationReflection] = field(default_factory=dict)
    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def remark(self, adopted: Adopted, text: str) -> None:
        self.remarks.append(f"{adopted.kind} {adopted.key}: {text}")

    def free(self, dataset: str) -> bool:
        return dataset not in self.streams and dataset not in self.models

    def known(self, path: Sequence[str]) -> bool:
        """Whether `path` is `layer.name` of a dataset of the flow."""
        if len(path) != 2:
            return False
        layer, name = path
        if name in self.streams:
            return layer == Layer.BRONZE
        return name in self.models and self.models[name].layer == layer


def flow_of(listings: Sequence[Listing], name: str) -> tuple[DataFlow, list[str]]:
    """The flow of all lists together, and the remarks. It is valid: what would not be is left
    out with a remark."""
    draft = Draft()
    objects = [adopted for listing in listings for adopted in listing.objects]
    by_name = {adopted.name: adopted for adopted in objects}
    for adopted in _of(objects, "airbyte/Connection"):
        _add_connection(draft, adopted, by_name)
    for adopted in _of(objects, "dremio/PhysicalDataset"):
        _add_dataset(draft, adopted)
    _add_views(draft, list(_of(objects, "dremio/View")))
    for adopted in objects:
        if adopted.kind in ("dremio/RawReflection", "dremio/AggregationReflection"):
            _add_reflection(draft, adopted, objects)
    for adopted in _of(objects, "superset/Dashboard"):
        _add_dashboard(draft, adopted, by_name)
    flow = DataFlow(
        name=name,
        sources=tuple(draft.sources.values()),
        streams=tuple(draft.streams.values()),
        models=tuple(draft.models.values()),
        reflections=tuple(draft.reflections.values()),
        dashboards=tuple(draft.dashboards.values()),
    )
    return flow, draft.remarks


def _of(objects: Sequence[Adopted], kind: str) -> Iterator[Adopted]:
    return (adopted for adopted in objects if adopted.kind == kind)


def identifier(text: str) -> str:
    """`text` as a name of the flow."""
    found = slug(text, "_") or "unnamed"
    return found if found[0].isalpha() else f"n_{found}"


# Airbyte: connections into bronze.


def _add_connection(draft: Draft, adopted: Adopted, by_name: Mapping[str, Adopted]) -> None:
    origin = by_name.get(_link(adopted.inputs["sourceId"]))
    target = by_name.get(_link(adopted.inputs["destinationId"]))
    if origin is None or target is None:
        draft.remark(adopted, "its source or destination is not in the list")
        return
    settings, store = origin.inputs["configuration"], target.inputs["configuration"]
    if settings.get("sourceType") not in CONNECTORS:
        draft.remark(
            adopted,
            f"connector {settings.get('sourceType')!r}: a flow knows {', '.join(CONNECTORS)}",
        )
        return
    file_format = FORMATS.get((store.get("format") or {}).get("format_type", ""))
    if store.get("destinationType") != "s3" or file_format is None:
        draft.remark(adopted, "does not write Parquet or JSONL files to S3, as bronze needs")
        return
    name = _source_name(draft, adopted, str(store.get("s3_bucket_path", "")))
    streams = [s for s in (_stream(draft, adopted, name, s) for s in _streams(adopted)) if s]
    if not streams:
        draft.remark(adopted, "no stream of it can be said")
        return
    draft.streams |= {stream.dataset: stream for stream in streams}
    draft.sources[name] = Source(
        name=name,
        connector=settings["sourceType"],
        configuration=_own_settings(settings),
        file_format=file_format,
        partition=_partition(draft, adopted, str(store.get("s3_path_format", ""))),
        schedule=adopted.inputs["schedule"].get("cronExpression"),
    )
    for key, usual in (("prefix", ""), ("status", "active"), ("namespaceFormat", None)):
        if adopted.inputs.get(key, usual) != usual:
            draft.remark(adopted, f"{key} {adopted.inputs[key]!r}: a flow has no word for it")


def _link(value: Any) -> str:
    return str(value[ID]) if isinstance(value, Mapping) else ""


def _source_name(draft: Draft, adopted: Adopted, folder: str) -> str:
    """The folder in bronze is the source's name in a flow."""
    parts = folder.strip("/").split("/")
    name = identifier(parts[-1] if parts[0] == Layer.BRONZE and len(parts) == 2 else adopted.key)
    if name in draft.sources:
        name = identifier(adopted.key)
    base, number = name, 2
    while name in draft.sources:
        name, number = f"{base}_{number}", number + 1
    if folder.strip("/") != f"{Layer.BRONZE}/{name}":
        draft.remark(adopted, f"writes to {folder!r}; the flow's source writes to 'bronze/{name}'")
    if adopted.inputs["name"] != name:
        draft.remark(adopted, f"is called {name!r} in the flow")
    return name


def _own_settings(settings: Props) -> Props:
    return {
        key: value
        for key, value in settings.items()
        if key not in ADDRESS and value != {} and SECRET not in repr(value)
    }


def _partition(draft: Draft, adopted: Adopted, path: str) -> str:
    if path.startswith(STREAM_FOLDER) and path.endswith("/") and path != STREAM_FOLDER:
        return path.removeprefix(STREAM_FOLDER).rstrip("/")
    usual = Source(name="any", connector=CONNECTORS[0]).partition
    draft.remark(adopted, f"path format {path!r}: the flow's is '{STREAM_FOLDER}{usual}/'")
    return usual


def _streams(adopted: Adopted) -> list[Props]:
    return list(adopted.inputs["streams"])


def _stream(draft: Draft, adopted: Adopted, source: str, raw: Props) -> Stream | None:
    mode = MODES.get(raw["syncMode"])
    cursor, keys = raw.get("cursorField") or [], raw.get("primaryKey") or []
    place = f"stream {raw['name']}"
    if mode is None:
        draft.remark(adopted, f"{place}: sync mode {raw['syncMode']!r}: a flow has no such mode")
        return None
    if mode.incremental and len(cursor) != 1:
        draft.remark(adopted, f"{place}: {mode} with cursor {cursor!r}: a flow needs one column")
        return None
    if any(len(key) != 1 for key in keys) or (mode is SyncMode.INCREMENTAL_DEDUP and not keys):
        draft.remark(adopted, f"{place}: primary key {keys!r}: a flow needs plain columns")
        return None
    for key in ("selectedFields", "mappers", "includeFiles"):
        if raw.get(key):
            draft.remark(adopted, f"{place}: {key}: a flow has no word for it")
    dataset = identifier(raw["name"])
    if not draft.free(dataset):
        dataset = identifier(f"{source} {raw['name']}")
    if not draft.free(dataset):
        draft.remark(adopted, f"{place}: the name {dataset!r} is taken by another stream")
        return None
    return Stream(
        source=source,
        name=raw["name"],
        sync_mode=mode,
        cursor=cursor[0] if len(cursor) == 1 and mode.incremental else None,
        primary_key=tuple(key[0] for key in keys),
        dataset=dataset,
    )


# Dremio: datasets, views and reflections.


def _add_dataset(draft: Draft, adopted: Adopted) -> None:
    """A dataset `<source>.bronze.<folder>.<stream>` that no connection of the lists writes."""
    path = adopted.inputs["path"]
    if len(path) != 4 or path[1] != Layer.BRONZE:
        draft.remark(adopted, "not of the form lake.bronze.<source>.<stream>")
        return
    if _stream_at(draft, path) is not None:
        return
    folder, name = identifier(path[2]), path[3]
    file_format = FORMATS.get(adopted.inputs["format"]["type"])
    dataset = identifier(name)
    if file_format is None or not draft.free(dataset) or folder != path[2]:
        draft.remark(adopted, "its format or its name cannot be said in a flow")
        return
    draft.remark(
        adopted,
        "Dremio does not know how the files get there: a full refresh by the connector "
        f"{CONNECTORS[0]!r} is only assumed. Import Airbyte into the same folder, or correct it",
    )
    draft.sources.setdefault(
        folder, Source(name=folder, connector=CONNECTORS[0], file_format=file_format)
    )
    draft.streams[dataset] = Stream(
        source=folder, name=name, dataset=dataset, sync_mode=SyncMode.FULL_REFRESH_OVERWRITE
    )


def _stream_at(draft: Draft, path: Sequence[str]) -> Stream | None:
    """The stream whose files are at a Dremio path."""
    for stream in draft.streams.values():
        if list(path[-3:]) == [Layer.BRONZE, stream.source, stream.name]:
            return stream
    return None


def _add_views(draft: Draft, views: list[Adopted]) -> None:
    """Views in bronze name the streams; those of silver and gold are models. They come after
    what they read: the list has them in that order."""
    for adopted in views:
        path, read = adopted.inputs["path"], tables_of(adopted.inputs["sql"])
        if len(path) == 2 and path[0] == Layer.BRONZE:
            _name_stream(draft, adopted, read)
        elif len(path) == 2 and path[0] in (Layer.SILVER, Layer.GOLD):
            _add_model(draft, adopted, read)
        else:
            draft.remark(adopted, "not directly in bronze, silver or gold")


def _name_stream(draft: Draft, adopted: Adopted, read: list[tuple[str, ...]]) -> None:
    name = adopted.inputs["path"][1]
    stream = _stream_at(draft, read[0]) if len(read) == 1 else None
    if stream is None:
        draft.remark(adopted, "does not show the files of one stream of the flow")
    elif stream.dataset != name and (not draft.free(name) or identifier(name) != name):
        draft.remark(adopted, f"is called {stream.dataset!r} in the flow")
    else:
        del draft.streams[stream.dataset]
        draft.streams[name] = Stream(**{**vars(stream), "dataset": name})


def _add_model(draft: Draft, adopted: Adopted, read: list[tuple[str, ...]]) -> None:
    layer, name = Layer(adopted.inputs["path"][0]), adopted.inputs["path"][1]
    inputs = []
    for path in dict.fromkeys(read):
        stream = _stream_at(draft, path)
        dataset = stream.dataset if stream else path[-1]
        if stream is None and not draft.known(path):
            draft.remark(adopted, f"reads {'.'.join(path)}, which no entry of the flow makes")
        elif dataset in draft.models and draft.models[dataset].layer.rank > layer.rank:
            draft.remark(adopted, f"reads {'.'.join(path)} of a later layer")
        else:
            inputs.append(dataset)
    if not inputs or identifier(name) != name or not draft.free(name):
        draft.remark(adopted, "is no model: its inputs or its name cannot be said in a flow")
        return
    draft.models[name] = Model(name=name, layer=layer, inputs=tuple(inputs))


def _add_reflection(draft: Draft, adopted: Adopted, objects: Sequence[Adopted]) -> None:
    raw, path = adopted.inputs, adopted.inputs["datasetPath"]
    name = identifier(raw["name"])
    if not draft.known(path):
        draft.remark(adopted, f"{'.'.join(path)} is no dataset of the flow")
        return
    if name in draft.reflections:
        name = identifier(f"{path[-1]} {raw['name']}")
    hours = _refresh_hours(objects)
    for key in ("sortFields", "partitionFields", "distributionFields"):
        if raw.get(key):
            draft.remark(adopted, f"{key}: a flow has no word for it")
    dataset = ".".join(path)
    if adopted.kind == "dremio/RawReflection":
        draft.reflections[name] = RawReflection(
            name=name, dataset=dataset, display=tuple(raw["displayFields"]), refresh_hours=hours
        )
        return
    dimensions = tuple(str(_column(item)) for item in raw["dimensionFields"])
    if not dimensions:
        draft.remark(adopted, "has no dimension")
        return
    draft.reflections[name] = AggregationReflection(
        name=name,
        dataset=dataset,
        dimensions=dimensions,
        measures=_measures(draft, adopted),
        refresh_hours=hours,
    )


def _column(item: Any) -> str:
    return str(item["name"]) if isinstance(item, Mapping) else str(item)


def _measures(draft: Draft, adopted: Adopted) -> dict[str, tuple[Measure, ...]]:
    found: dict[str, tuple[Measure, ...]] = {}
    for item in adopted.inputs.get("measureFields", []):
        types = item.get("measureTypeList", []) if isinstance(item, Mapping) else []
        known = tuple(Measure(t) for t in types if t in list(Measure))
        if others := [t for t in types if t not in list(Measure)]:
            draft.remark(adopted, f"{_column(item)}: {', '.join(others)}: no measure of a flow")
        if known:
            found[_column(item)] = known
    return found


def _refresh_hours(objects: Sequence[Adopted]) -> int:
    """Dremio keeps the period with its sources; the shortest holds."""
    periods = [
        int(adopted.inputs["accelerationRefreshPeriodMs"])
        for adopted in _of(objects, "dremio/Source")
        if adopted.inputs.get("accelerationRefreshPeriodMs")
    ]
    return max(1, min(periods, default=HOUR_MS) // HOUR_MS)


# Superset: dashboards with their charts.


def _add_dashboard(draft: Draft, adopted: Adopted, by_name: Mapping[str, Adopted]) -> None:
    slug_ = slug(adopted.inputs["slug"], "-")
    if slug_ != adopted.inputs["slug"] or not slug_[0].isalpha():
        draft.remark(adopted, f"slug {adopted.inputs['slug']!r}: a flow writes a-z, 0-9 and -")
        return
    rows = []
    for row in adopted.inputs["rows"]:
        charts = [chart for cell in row if (chart := _chart(draft, adopted, cell, by_name))]
        if charts:
            rows.append(tuple(charts))
    if adopted.inputs.get("css"):
        draft.remark(adopted, "css: a flow has no word for it")
    draft.dashboards[slug_] = Dashboard(
        slug=slug_, title=adopted.inputs["title"], rows=tuple(rows)
    )


def _chart(
    draft: Draft, board: Adopted, cell: Props, by_name: Mapping[str, Adopted]
) -> Chart | None:
    adopted = by_name.get(_link(cell.get("chart")))
    dataset = by_name.get(_link(adopted.inputs["datasetUuid"])) if adopted else None
    if adopted is None or dataset is None:
        draft.remark(board, "a text, or a chart that is not in the list with its dataset")
        return None
    kind = KINDS.get(adopted.inputs["vizType"])
    path = (str(dataset.inputs.get("schema")), str(dataset.inputs["tableName"]))
    title = adopted.inputs["sliceName"]
    if kind is None:
        draft.remark(board, f"chart {title!r}: {adopted.inputs['vizType']!r} is no kind of a flow")
        return None
    if not draft.known(path):
        draft.remark(
            board,
            f"chart {title!r}: no entry makes {'.'.join(path)}: import Dremio into the same folder"
            " first",
        )
        return None
    params = adopted.inputs["params"]
    metrics = [params["metric"]] if "metric" in params else params.get("metrics") or []
    metric = _metric(metrics[0], dataset) if len(metrics) == 1 else ""
    dimension = str(params.get("x_axis") or "") if kind in ("line", "bar") else ""
    columns = tuple(str(c) for c in params.get("all_columns") or []) if kind == "table" else ()
    missing = not columns if kind == "table" else not metric
    if missing or (kind in ("line", "bar") and not dimension):
        draft.remark(board, f"chart {title!r}: its query is none that a flow can say")
        return None
    return Chart(
        name=title,
        dataset=".".join(path),
        kind=kind,
        metric="" if kind == "table" else metric,
        dimension=dimension,
        columns=columns,
        width=cell["width"],
    )


def _metric(raw: Any, dataset: Adopted) -> str:
    """SQL of a metric: one of the chart's own, or a saved one of the dataset."""
    if isinstance(raw, str):
        saved = {m["name"]: str(m["expression"]) for m in dataset.inputs.get("metrics", [])}
        return saved.get(raw, "")
    if raw.get("expressionType") == "SQL":
        return str(raw.get("sqlExpression") or "")
    column = (raw.get("column") or {}).get("column_name")
    return f"{raw['aggregate']}({column})" if raw.get("aggregate") and column else ""
