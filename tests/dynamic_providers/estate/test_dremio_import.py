"""Dremio: objects made by hand through the API, imported, and taken over unchanged."""

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from adoption import dremio as reader
from adoption.flows import flow_of
from adoption.listing import Adopted, Listing
from dynamic_providers.dremio import source
from dynamic_providers.dremio.client import DremioClient, entity
from flow.model import Layer, Measure
from tests.dynamic_providers.estate.taking_over import take_over
from tests.fakes.serving import serving

TABLE = 'estate.handlers."orders"'


def by_hand(client, store) -> None:
    def post(at, /, **body):
        return client.require("POST", at, body)

    config = source.minio_config(*store) | {"rootPath": "/"}
    post("/catalog", entityType="source", name="estate", type="S3", config=config)
    folder = client.by_path(["estate", "handlers", "orders"])
    post(
        entity(folder["id"]), entityType="dataset", type="PHYSICAL_DATASET", id=folder["id"],
        path=folder["path"], format={"type": "Parquet"},
    )  # fmt: skip
    post("/catalog", entityType="space", name="marts")
    post("/catalog", entityType="folder", path=["marts", "sales"])
    for path, sql in (
        (["marts", "sales", "Big orders"], f"SELECT id, amount FROM {TABLE} WHERE amount > 2"),
        (["marts", "all"], 'SELECT * FROM marts.sales."Big orders"'),
    ):
        post("/catalog", entityType="dataset", type="VIRTUAL_DATASET", path=path, sql=sql)
    view = client.by_path(["marts", "all"])
    post(
        "/reflection", entityType="reflection", type="RAW", name="by id", enabled=True,
        datasetId=view["id"], displayFields=[{"name": "id"}, {"name": "amount"}],
    )  # fmt: skip


def state_of(client, listing: Listing) -> list:
    """Every listed object as the server shows it, less what each write renews."""
    found = []
    for adopted in listing.objects:
        if adopted.kind.endswith("Reflection"):
            live = client.require("GET", f"/reflection/{adopted.id}")
        else:
            path = adopted.inputs.get("path") or [adopted.inputs["name"]]
            live = client.require("GET", "/catalog/by-path/" + "/".join(map(quote, path)))
        live.pop("children", None)
        live.get("displayFields", []).sort(key=lambda column: column["name"])  # a set
        changing = ("tag", "updatedAt", "status", "state", "currentSizeBytes", "totalSizeBytes")
        found.append({key: value for key, value in live.items() if key not in changing})
    return found


@pytest.mark.service
def test_taking_over_the_embedded_dremio_changes_nothing(embedded_dremio):
    client = embedded_dremio.client
    by_hand(client, embedded_dremio.facts["store"])
    listing = reader.read(client).listing("dremio", "http://x")
    mine = [a for a in listing.objects if a.key.startswith(("estate", "marts"))]
    kinds = sorted(adopted.kind.removeprefix("dremio/") for adopted in mine)
    assert kinds == [
        "Folder",
        "PhysicalDataset",
        "RawReflection",
        "Source",
        "Space",
        *["View"] * 2,
    ]
    names = [adopted.name for adopted in mine]
    outer = next(a for a in mine if a.key == "marts.all")
    assert "dremio-view-marts-sales-big-orders" in outer.depends_on
    assert names.index("dremio-view-marts-sales-big-orders") < names.index(outer.name)
    assert list(listing.secrets) == ["dremio-source-estate-config-access-secret"]
    only = Listing(service="dremio", url="", objects=tuple(mine))
    before = state_of(client, only)
    take_over(client, only, dict.fromkeys(listing.secrets, embedded_dremio.facts["store"][2]))
    assert state_of(client, only) == before


def test_every_page_of_children_is_read():
    """A folder shows its views in pages, as Dremio does when maxChildren is given."""
    views = [
        {"id": f"v{n}", "path": ["marts", f"v{n}"], "type": "DATASET", "datasetType": "VIRTUAL"}
        for n in range(7)
    ]

    async def login(request):
        return JSONResponse({"token": "t"})

    async def roots(request):
        system = {"id": "s", "path": ["sys"], "type": "CONTAINER", "containerType": "SOURCE"}
        home = {"id": "h", "path": ["@me"], "type": "CONTAINER", "containerType": "HOME"}
        space = {"id": "m", "path": ["marts"], "type": "CONTAINER", "containerType": "SPACE"}
        return JSONResponse({"data": [system, home, space]})

    async def children(request):
        start = int(request.query_params.get("pageToken", 0))
        more = {"nextPageToken": str(start + 3)} if start + 3 < len(views) else {}
        return JSONResponse({"id": "m", "children": views[start : start + 3], **more})

    async def by_path(request):
        path = request.path_params["path"].split("/")
        if len(path) == 1:
            return JSONResponse({"entityType": "space", "id": "m", "name": path[0]})
        return JSONResponse(
            {"entityType": "dataset", "type": "VIRTUAL_DATASET", "path": path, "sql": "SELECT 1"}
        )

    async def reflections(request):
        return JSONResponse({"data": []})

    app = Starlette(
        routes=[
            Route("/apiv2/login", login, methods=["POST"]),
            Route("/api/v3/catalog", roots),
            Route("/api/v3/catalog/by-path/{path:path}", by_path),
            Route("/api/v3/catalog/m", children),
            Route("/api/v3/dataset/{id}/reflection", reflections),
        ]
    )
    with serving(app) as url:
        client = DremioClient(url, "x")
        listing = reader.read(client).listing("dremio", url)
        client.close()
    assert sorted(a.key for a in listing.objects) == [
        "marts",
        *(v["id"].join(["marts.", ""]) for v in views),
    ]
    assert [(one.key, one.kind) for one in listing.refused] == [("@me", "dremio/home")]


def listed(*objects: tuple[str, dict]) -> Listing:
    return Listing(
        service="dremio",
        url="",
        objects=tuple(
            Adopted(name=f"o{n}", kind=f"dremio/{kind}", key=f"k{n}", id=f"i{n}", inputs=inputs)
            for n, (kind, inputs) in enumerate(objects)
        ),
    )


def test_datasets_views_and_reflections_become_a_valid_flow():
    at = ["lake", "bronze", "crm", "accounts"]
    inner = "SELECT * FROM bronze.clients"
    listing = listed(
        ("Source", {"name": "lake", "accelerationRefreshPeriodMs": 7_200_000}),
        ("PhysicalDataset", {"path": at, "format": {"type": "Parquet"}}),
        ("View", {"path": ["bronze", "clients"], "sql": f"SELECT * FROM {'.'.join(at)}"}),
        ("View", {"path": ["silver", "stg"], "sql": f"WITH c AS ({inner}) SELECT * FROM c"}),
        ("View", {"path": ["gold", "fct"], "sql": "SELECT day, SUM(x) x FROM silver.stg"}),
        ("View", {"path": ["gold", "odd"], "sql": "SELECT * FROM elsewhere.t"}),
        ("AggregationReflection", {
            "name": "Per day", "datasetPath": ["gold", "fct"],
            "dimensionFields": [{"name": "day"}],
            "measureFields": [{"name": "x", "measureTypeList": ["MAX", "APPROX_COUNT_DISTINCT"]}],
        }),
    )  # fmt: skip
    flow, remarks = flow_of([listing], "imported")
    assert [(s.name, s.dataset) for s in flow.streams] == [("accounts", "clients")]
    assert [(m.name, m.layer, m.inputs) for m in flow.models] == [
        ("stg", Layer.SILVER, ("clients",)),
        ("fct", Layer.GOLD, ("stg",)),
    ]
    (reflection,) = flow.reflections
    assert (reflection.name, reflection.refresh_hours) == ("per_day", 2)
    assert reflection.measures == {"x": (Measure.MAX,)}
    assert any("only assumed" in text for text in remarks)
    assert any("elsewhere.t, which no entry of the flow makes" in text for text in remarks)
    assert any("APPROX_COUNT_DISTINCT: no measure of a flow" in text for text in remarks)
