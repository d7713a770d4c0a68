"""Superset chart: one visualisation of a dataset."""

import json
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.handler import Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Chart"
REPLACE_ON = objects.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

# The server takes any text and then shows an empty chart, so it is checked here. Those that the
# user interface of 6.1.0 offers.
VIZ_TYPES = frozenset(
    "big_number big_number_total box_plot bubble_v2 bullet cal_heatmap chord country_map "
    "deck_arc deck_contour deck_geojson deck_grid deck_heatmap deck_hex deck_multi deck_path "
    "deck_polygon deck_scatter deck_screengrid echarts_area echarts_timeseries "
    "echarts_timeseries_bar echarts_timeseries_line echarts_timeseries_scatter "
    "echarts_timeseries_smooth echarts_timeseries_step funnel gantt_chart gauge_chart "
    "graph_chart handlebars heatmap_v2 histogram_v2 horizon mixed_timeseries paired_ttest para "
    "partition pie pivot_table_v2 pop_kpi radar rose sankey_v2 sunburst_v2 table time_pivot "
    "time_table tree_chart treemap_v2 waterfall word_cloud world_map".split()
)
# Written by the server or by looking at the chart: no inputs, and no drift.
OWN_PARAMS = ("datasource", "slice_id", "viz_type", "dashboards")
OPTIONAL: Mapping[str, str] = {  # input -> API's name
    "description": "description",
    "cacheTimeoutS": "cache_timeout",
    "certifiedBy": "certified_by",
    "certificationDetails": "certification_details",
}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(
        raw,
        ("name", "vizType", "datasetUuid"),
        ("uuid", "sliceName", "params", "queryContext", *OPTIONAL),
    )
    name = inputs.text(spec["name"], "name")
    inputs.one_of(spec["vizType"], VIZ_TYPES, "vizType")
    spec["datasetUuid"] = objects.uuid(spec["datasetUuid"], "datasetUuid")
    spec["sliceName"] = inputs.text(spec.get("sliceName", name), "sliceName")
    params = inputs.mapping(spec.get("params", {}), "params")
    if not inputs.is_unknown(params):
        params = {key: value for key, value in params.items() if key not in OWN_PARAMS}
    spec["params"] = params
    if "queryContext" in spec:
        inputs.mapping(spec["queryContext"], "queryContext")
    for key in OPTIONAL.keys() & spec.keys():
        if key == "cacheTimeoutS":
            inputs.whole(spec[key], key, least=0)
        else:
            inputs.text(spec[key], key)
    return {**spec, "uuid": objects.uuid(spec.get("uuid", identity("chart", name)), "uuid")}


def natural_key(spec: Props) -> str:
    return str(spec["uuid"])


def create(client: SupersetClient, spec: Props) -> Live:
    body = _body(client, spec)
    return objects.create(
        client, "chart", spec, body, lambda number: objects.put(client, "chart", number, body)
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    live = client.get("chart", id_)
    if live is None:
        return None
    params = json.loads(live.get("params") or "{}")
    found: Props = {
        "uuid": id_,
        "name": known.get("name", live["slice_name"]),  # ours alone: the name behind the uuid
        "sliceName": live["slice_name"],
        "vizType": live["viz_type"],
        "datasetUuid": live["datasource_uuid"],
        # Opened by an owner, a chart gains the defaults of its controls.
        "params": only_known_keys(params, known["params"]) if "params" in known else params,
    }
    found |= {
        # The server shows the time-out of a chart as a text.
        key: int(live[api_name]) if key == "cacheTimeoutS" else live[api_name]
        for key, api_name in OPTIONAL.items()
        if live.get(api_name) not in (None, "") and (key in known or not known)
    }
    if "queryContext" in known:  # looking at the chart rewrites the server's
        found["queryContext"] = known["queryContext"]
    return Live(id=id_, inputs=_as_it_is(found))


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    body = _body(client, spec) | objects.cleared(OPTIONAL, old, spec)
    if "queryContext" in old and "queryContext" not in spec:
        body["query_context"] = None
    return objects.update(
        client, "chart", id_, spec, lambda number: objects.put(client, "chart", number, body)
    )


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete(client, "chart", id_)


def _body(client: SupersetClient, spec: Props) -> Props:
    dataset = client.number_of("dataset", spec["datasetUuid"], "datasetUuid")
    params = {
        **spec["params"],
        "datasource": f"{dataset}__table",
        "viz_type": spec["vizType"],
    }
    body = {
        "slice_name": spec["sliceName"],
        "viz_type": spec["vizType"],
        "datasource_id": dataset,
        "datasource_type": "table",
        "params": json.dumps(params, sort_keys=True),
    }
    if "queryContext" in spec:
        context = {**spec["queryContext"], "datasource": {"id": dataset, "type": "table"}}
        body["query_context"] = json.dumps(context, sort_keys=True)
    return body | {api: spec[key] for key, api in OPTIONAL.items() if key in spec}


def _as_it_is(found: Props) -> Props:
    # A viz type that check would refuse is drift to show, not an error.
    shown = normalize({**found, "vizType": "table"})
    return {**shown, "vizType": found["vizType"]}
