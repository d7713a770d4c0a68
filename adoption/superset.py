"""Databases, datasets, charts and dashboards of a live Superset, through its REST API."""

import json
from collections.abc import Iterator

from adoption.estate import Estate
from dynamic_providers.handler import Props
from dynamic_providers.superset import chart, dashboard, database, dataset
from dynamic_providers.superset.client import API, SupersetClient

PAGE = 100  # the server gives no more at once
# Of a dashboard's layout; anything else would be lost when the rows are written.
LAYOUT = frozenset({"ROOT", "GRID", "ROW", "CHART", "MARKDOWN"})


def read(client: SupersetClient) -> Estate:
    """All that the user may see. Raises ApiError."""
    estate = Estate(client=client, mask=database.MASK)
    for live in _every(client, "database"):
        estate.add(database, _uuid(client, "database", live), label=str(live["database_name"]))
    for live in _every(client, "dataset"):
        _add_dataset(estate, live)
    for live in _every(client, "chart"):
        _add_chart(estate, live)
    for live in _every(client, "dashboard"):
        _add_dashboard(estate, live)
    return estate


def _every(client: SupersetClient, kind: str) -> Iterator[Props]:
    page = 0
    while True:
        rison = f"(page:{page},page_size:{PAGE})"
        answer = client.api.require("GET", f"{API}/{kind}/", params={"q": rison})
        yield from answer["result"]
        if len(answer["result"]) < PAGE:
            return
        page += 1


def _uuid(client: SupersetClient, kind: str, live: Props) -> str:
    """Lists of some kinds leave the uuid out."""
    shown = live.get("uuid") or client.require("GET", f"/{kind}/{live['id']}")["result"]["uuid"]
    return str(shown)


def _add_dataset(estate: Estate, live: Props) -> None:
    label = f"{live.get('schema')}.{live['table_name']}"
    estate.add(dataset, _uuid(estate.client, "dataset", live), label=label)


def _add_chart(estate: Estate, live: Props) -> None:
    label = str(live["slice_name"])
    shown = estate.client.require("GET", f"/chart/{live['id']}")["result"]
    if not shown.get("datasource_uuid"):
        estate.refuse(chart.KIND, label, "its dataset is gone")
        return
    estate.add(chart, str(shown["uuid"]), label=label)


def _add_dashboard(estate: Estate, live: Props) -> None:
    label = str(live.get("slug") or live["dashboard_title"])
    shown = estate.client.require("GET", f"/dashboard/{live['id']}")["result"]
    attached = estate.client.require("GET", f"/dashboard/{live['id']}/charts")["result"]
    positions = json.loads(shown.get("position_json") or "{}")
    items = [v for k, v in positions.items() if isinstance(v, dict) and k != "HEADER_ID"]
    if others := sorted({item["type"] for item in items} - LAYOUT):
        reason = f"its layout holds {', '.join(others)}, and only rows of charts can be written"
    elif {c["id"] for c in attached} != {i["meta"].get("chartId") for i in items if _is_chart(i)}:
        reason = "charts belong to it that its layout does not place"
    else:
        estate.add(dashboard, _uuid(estate.client, "dashboard", live), label=label)
        return
    estate.refuse(dashboard.KIND, label, f"{reason}: taken over, it would lose them")


def _is_chart(item: Props) -> bool:
    return bool(item["type"] == "CHART")
