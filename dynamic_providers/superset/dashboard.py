"""Superset dashboard: charts and texts in rows on a grid of twelve columns, and filters."""

import json
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.superset import native_filter, objects
from dynamic_providers.superset.client import SupersetClient, identity

KIND: Final = "superset/Dashboard"
REPLACE_ON = objects.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

COLUMNS = 12
HEIGHT = 50  # grid units of 8 pixels: 400 pixels
LEAST_HEIGHT = 5
FILTERS = "native_filter_configuration"


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(
        raw, ("slug", "title", "rows"), ("uuid", "published", "css", "filters", "roles")
    )
    slug = inputs.text(spec["slug"], "slug")
    inputs.text(spec["title"], "title")
    spec["published"] = inputs.flag(spec.get("published", True), "published")
    if "css" in spec:
        inputs.text(spec["css"], "css")
    if "roles" in spec:
        spec["roles"] = objects.names(spec["roles"], "roles")
    if "filters" in spec:
        spec["filters"] = native_filter.normalize(spec["filters"])
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
        client, "dashboard", spec, body, lambda number: _put(client, number, {}, spec)
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    live = client.get("dashboard", id_)
    if live is None:
        return None
    found: Props = {
        "uuid": id_,
        "slug": live["slug"] or "",
        "title": live["dashboard_title"],
        "published": bool(live["published"]),
        "rows": _rows_of(json.loads(live.get("position_json") or "{}")),
    }
    if live.get("css") and ("css" in known or not known):
        found["css"] = live["css"]
    filters = json.loads(live.get("json_metadata") or "{}").get(FILTERS) or []
    if "filters" in known or (filters and not known):
        found["filters"] = native_filter.shown(client, filters)
    roles = sorted(role["name"] for role in live["roles"])
    if "roles" in known or (roles and not known):
        found["roles"] = roles
    return Live(id=id_, inputs=found)


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    return objects.update(
        client, "dashboard", id_, spec, lambda number: _put(client, number, old, spec)
    )


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete(client, "dashboard", id_)


def _put(client: SupersetClient, number: int, old: Props, spec: Props) -> None:
    live = client.require("GET", f"/dashboard/{number}")["result"]
    # json_metadata is replaced as a whole: colours that people chose stay. Only its key
    # `positions` attaches charts; POST and position_json do not.
    metadata = json.loads(live.get("json_metadata") or "{}")
    positions = _positions(client, spec)
    metadata["positions"] = positions
    if "filters" in spec or "filters" in old:
        charts = [
            item["meta"]["chartId"]
            for item in positions.values()
            if isinstance(item, dict) and item["type"] == "CHART"
        ]
        metadata[FILTERS] = native_filter.stored(client, spec.get("filters", []), charts)
    body = {**_body(spec), "json_metadata": json.dumps(metadata, sort_keys=True)}
    if "roles" in spec or "roles" in old:
        body["roles"] = objects.role_numbers(client, spec.get("roles", []), "roles")
    objects.put(client, "dashboard", number, body)


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
    """{"chart" or "markdown", "width", "height"}; the uuid of a chart alone shares the row
    evenly."""
    if inputs.is_unknown(raw):
        # A chart whose uuid is not known yet, or a whole cell: either way nothing to check.
        return raw
    item = {"chart": raw} if isinstance(raw, str) else inputs.mapping(raw, at)
    content = "markdown" if "markdown" in item else "chart"
    cell: Props = {"width": width, "height": HEIGHT} | inputs.known_keys(
        item, (content,), ("width", "height"), at=at
    )
    if content == "chart":
        cell["chart"] = objects.uuid(cell["chart"], f"{at}.chart")
    else:
        inputs.text(cell["markdown"], f"{at}.markdown")
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
    type_ = "CHART" if "chart" in cell else "MARKDOWN"
    content = _chart_meta(client, cell) if type_ == "CHART" else {"code": cell["markdown"]}
    return {
        "type": type_,
        "id": f"{type_}-{row_id}-{column}",
        "children": [],
        "parents": ["ROOT_ID", "GRID_ID", row_id],
        "meta": {**content, "width": cell["width"], "height": cell["height"]},
    }


def _chart_meta(client: SupersetClient, cell: Props) -> Props:
    chart = client.get("chart", cell["chart"])
    if chart is None:
        raise InputError("rows", f"{cell['chart']}: Superset has no such chart")
    return {"chartId": chart["id"], "uuid": cell["chart"], "sliceName": chart["slice_name"]}


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
            **(
                {"chart": str(cell["meta"].get("uuid", ""))}
                if cell["type"] == "CHART"
                else {"markdown": str(cell["meta"].get("code", ""))}
            ),
            "width": cell["meta"].get("width"),
            "height": cell["meta"].get("height"),
        }
        for cell in cells
        if cell.get("type") in ("CHART", "MARKDOWN")
    ]
