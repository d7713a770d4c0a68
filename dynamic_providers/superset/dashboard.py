"""Superset dashboard: charts in rows on a grid of twelve columns."""

import json
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Dashboard"
REPLACE_ON = objects.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

COLUMNS = 12
HEIGHT = 50  # grid units of 8 pixels: 400 pixels
LEAST_HEIGHT = 5


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("slug", "title", "rows"), ("uuid", "published", "css"))
    slug = inputs.text(spec["slug"], "slug")
    inputs.text(spec["title"], "title")
    spec["published"] = inputs.flag(spec.get("published", True), "published")
    if "css" in spec:
        inputs.text(spec["css"], "css")
    rows = inputs.listing(spec["rows"], "rows", empty=True)
    if not inputs.is_unknown(rows):
        rows = [_row(row, f"rows[{at}]") for at, row in enumerate(rows)]
    spec["rows"] = rows
    return {**spec, "uuid": objects.uuid(spec.get("uuid", identity("dashboard", slug)), "uuid")}


def natural_key(spec: Props) -> str:
    return str(spec["uuid"])


def create(client: SupersetClient, spec: Props) -> Live:
    body = {key: value for key, value in _body(spec).items() if key != "css"}
    return objects.create(
        client, "dashboard", spec, body, lambda number: _put(client, number, spec)
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    live = client.get("dashboard", id_)
    if live is None:
        return None
    found = {
        "uuid": id_,
        "slug": live["slug"] or "",
        "title": live["dashboard_title"],
        "published": bool(live["published"]),
        "rows": _rows_of(json.loads(live.get("position_json") or "{}")),
    }
    if live.get("css") and ("css" in known or not known):
        found["css"] = live["css"]
    return Live(id=id_, inputs=found)


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    return objects.update(
        client, "dashboard", id_, spec, lambda number: _put(client, number, spec)
    )


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete(client, "dashboard", id_)


def _put(client: SupersetClient, number: int, spec: Props) -> None:
    live = client.require("GET", f"/dashboard/{number}")["result"]
    # json_metadata is replaced as a whole: colours that people chose stay. Only its key
    # `positions` attaches charts; POST and position_json do not.
    metadata = json.loads(live.get("json_metadata") or "{}")
    metadata["positions"] = _positions(client, spec)
    objects.put(
        client,
        "dashboard",
        number,
        {**_body(spec), "json_metadata": json.dumps(metadata, sort_keys=True)},
    )


def _body(spec: Props) -> Props:
    return {
        "dashboard_title": spec["title"],
        "slug": spec["slug"],
        "published": spec["published"],
        "css": spec.get("css", ""),
    }


def _row(raw: Any, at: str) -> Any:
    items = inputs.listing(raw, at)
    if inputs.is_unknown(items):
        return items
    cells = [_cell(item, f"{at}[{n}]", COLUMNS // len(items)) for n, item in enumerate(items)]
    widths = [cell["width"] for cell in cells if isinstance(cell, dict)]
    if all(isinstance(width, int) for width in widths) and sum(widths) > COLUMNS:
        raise InputError(at, f"widths {widths}: expected {COLUMNS} columns or fewer in all")
    return cells


def _cell(raw: Any, at: str, width: int) -> Any:
    """{"chart", "width", "height"}; the uuid of a chart alone shares the row evenly."""
    if inputs.is_unknown(raw):
        # A chart whose uuid is not known yet, or a whole cell: either way nothing to check.
        return raw
    item = {"chart": raw} if isinstance(raw, str) else inputs.mapping(raw, at)
    cell: Props = {"width": width, "height": HEIGHT} | inputs.known_keys(
        item, ("chart",), ("width", "height"), at=at
    )
    cell["chart"] = objects.uuid(cell["chart"], f"{at}.chart")
    inputs.whole(cell["width"], f"{at}.width", least=1)
    inputs.whole(cell["height"], f"{at}.height", least=LEAST_HEIGHT)
    return cell


def _positions(client: SupersetClient, spec: Props) -> Props:
    """The layout as Superset stores it. Row and cell ids are derived, so that an unchanged
    dashboard is written unchanged."""
    grid: Props = {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]}
    positions: Props = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": grid,
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": spec["title"]}},
    }
    for at, row in enumerate(spec["rows"], 1):
        row_id = f"ROW-{at}"
        cells = [_cell_position(client, cell, row_id, n) for n, cell in enumerate(row, 1)]
        grid["children"].append(row_id)
        positions[row_id] = {
            "type": "ROW",
            "id": row_id,
            "children": [cell["id"] for cell in cells],
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        positions |= {cell["id"]: cell for cell in cells}
    return positions


def _cell_position(client: SupersetClient, cell: Props, row_id: str, column: int) -> Props:
    chart = client.get("chart", cell["chart"])
    if chart is None:
        raise InputError("rows", f"{cell['chart']}: Superset has no such chart")
    return {
        "type": "CHART",
        "id": f"CHART-{row_id}-{column}",
        "children": [],
        "parents": ["ROOT_ID", "GRID_ID", row_id],
        "meta": {
            "chartId": chart["id"],
            "uuid": cell["chart"],
            "sliceName": chart["slice_name"],
            "width": cell["width"],
            "height": cell["height"],
        },
    }


def _rows_of(positions: Props) -> list[list[Props]]:
    """The rows of a stored layout. Tabs and columns, which people may add, appear as rows less
    their charts: that is drift."""
    grid = positions.get("GRID_ID") or {}
    rows = [positions.get(id_) or {} for id_ in grid.get("children") or []]
    return [_cells_of(row, positions) for row in rows if row.get("type") == "ROW"]


def _cells_of(row: Props, positions: Props) -> list[Props]:
    cells = [positions.get(id_) or {} for id_ in row.get("children") or []]
    return [
        {
            "chart": str(cell["meta"].get("uuid", "")),
            "width": cell["meta"].get("width"),
            "height": cell["meta"].get("height"),
        }
        for cell in cells
        if cell.get("type") == "CHART"
    ]
