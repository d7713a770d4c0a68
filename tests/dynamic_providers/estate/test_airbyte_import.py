"""Airbyte: objects made by hand through the API, imported, and taken over unchanged."""

import copy

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from adoption import airbyte as reader
from adoption.flows import flow_of
from adoption.importing import ImportFault, import_system
from dynamic_providers.airbyte import connection, destination, source
from flow.model import FileFormat, SyncMode
from tests.dynamic_providers.conftest import POSTGRES, S3, SECRET, STREAMS
from tests.dynamic_providers.estate.taking_over import take_over
from tests.fakes.serving import serving

PUBLIC = "/api/public/v1"
SECRETS = {
    "airbyte-source-shop-configuration-password": POSTGRES["password"],
    "airbyte-destination-lake-configuration-secret-access-key": S3["secret_access_key"],
}


def by_hand(client, source_settings, destination_settings, **connection_settings) -> None:
    workspace = client.workspace(None)
    ids = {}
    for kind, name, settings in (
        ("source", "Shop", source_settings),
        ("destination", "Lake", destination_settings),
    ):
        body = {"name": name, "workspaceId": workspace, "configuration": settings}
        ids[f"{kind}Id"] = client.require("POST", f"/{kind}s", body)[f"{kind}Id"]
    streams = [
        {**stream, **({"cursorField": ["updated_at"]} if "cursorField" in stream else {})}
        for stream in STREAMS
    ]
    body = {"name": "Shop to lake", **ids, "configurations": {"streams": streams}}
    client.require("POST", "/connections", {**body, **connection_settings})


BRONZE = {**S3, "s3_bucket_path": "bronze/shop", "s3_path_format": "${STREAM_NAME}/day=${DAY}/"}
NIGHTLY = {"schedule": {"scheduleType": "cron", "cronExpression": "0 0 1 * * ?"}}


def state_of(fake) -> dict:
    state = copy.deepcopy({"actors": fake.actors, "connections": fake.connections})
    return {**state, "connections": [in_order(live) for live in state["connections"].values()]}


def in_order(live: dict) -> dict:
    """A connection's streams have no order."""
    streams = sorted(live["configurations"]["streams"], key=lambda stream: stream["name"])
    return {**live, "configurations": {**live["configurations"], "streams": streams}}


def test_taking_over_changes_nothing(airbyte, airbyte_fake):
    by_hand(airbyte.client, {**POSTGRES, "port": 5432}, BRONZE, **NIGHTLY)
    listing = reader.read(airbyte.client).listing("airbyte", "http://x")
    before = state_of(airbyte_fake)
    assert listing.refused == ()
    assert listing.secrets.keys() == SECRETS.keys()
    assert POSTGRES["password"] not in listing.to_json()
    take_over(airbyte.client, listing, SECRETS)
    assert state_of(airbyte_fake) == before


def test_the_flow_means_the_same_data(airbyte):
    by_hand(airbyte.client, {**POSTGRES, "port": 5432}, BRONZE, **NIGHTLY)
    listing = reader.read(airbyte.client).listing("airbyte", "http://x")
    flow, remarks = flow_of([listing], "imported")
    (found,) = flow.sources
    assert (found.name, found.connector, found.schedule) == ("shop", "postgres", "0 0 1 * * ?")
    assert (found.file_format, found.partition) == (FileFormat.PARQUET, "day=${DAY}")
    assert {(s.name, s.sync_mode, s.cursor) for s in flow.streams} == {
        ("orders", SyncMode.INCREMENTAL_APPEND, "updated_at"),
        ("customers", SyncMode.FULL_REFRESH_OVERWRITE, None),
    }
    assert remarks == ["airbyte/Connection Shop to lake: is called 'shop' in the flow"]


def test_every_page_is_read(airbyte, airbyte_fake):
    workspace = airbyte.client.workspace(None)
    for number in range(101):
        body = {"name": f"s{number}", "workspaceId": workspace, "configuration": POSTGRES}
        airbyte.client.require("POST", "/sources", body)
    listing = reader.read(airbyte.client).listing("airbyte", "http://x")
    assert len(listing.objects) == 101
    assert len({adopted.name for adopted in listing.objects}) == 101


def test_objects_that_share_a_name_are_refused(airbyte):
    for _ in range(2):
        by_hand(airbyte.client, POSTGRES, S3)
    listing = reader.read(airbyte.client).listing("airbyte", "http://x")
    assert {one.kind for one in listing.refused} >= {source.KIND, destination.KIND}
    assert all("2 objects have this name" in one.reason for one in listing.refused)
    assert all(adopted.kind == connection.KIND for adopted in listing.objects)


def test_what_a_flow_cannot_say_is_reported(airbyte):
    settings = {"sourceType": "hubspot", "api_key": "x"}
    by_hand(airbyte.client, settings, S3)
    flow, remarks = flow_of([reader.read(airbyte.client).listing("airbyte", "http://x")], "imp")
    assert flow.sources == ()
    assert "connector 'hubspot': a flow knows postgres, faker" in remarks[0]


def test_files_are_written_and_the_flow_can_be_imported(airbyte, tmp_path):
    by_hand(airbyte.client, POSTGRES, BRONZE, **NIGHTLY)
    url = str(airbyte.client.api._http.base_url)
    done = import_system("airbyte", url, None, SECRET, tmp_path)
    names = {path.name for path in done.files}
    assert names == {"adoption-airbyte.json", "flow.py", "airbyte.md"}
    space: dict = {}
    exec((tmp_path / "flow.py").read_text(), space)
    assert [s.name for s in space["FLOW"].sources] == ["shop"]
    text = (tmp_path / "airbyte.md").read_text()
    assert "--secret adopted:airbyte-source-shop-configuration-password`" in text
    assert POSTGRES["password"] not in text
    again = import_system("airbyte", url, None, SECRET, tmp_path)
    assert again.listing == done.listing


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("127.0.0.1:8000", "expected http"),
        ("http://127.0.0.1:9", "nothing answers at"),
        ("http://me:pw@127.0.0.1", "without a password"),
    ],
)
def test_a_wrong_address_is_named(url, text, tmp_path):
    with pytest.raises(ImportFault, match=text):
        import_system("airbyte", url, None, SECRET, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_wrong_password_is_named_but_not_shown(airbyte, tmp_path):
    url = str(airbyte.client.api._http.base_url)
    with pytest.raises(ImportFault, match="refuses 'dataflow'") as caught:
        import_system("airbyte", url, None, "wr0ng-password", tmp_path / "new")
    assert "wr0ng-password" not in str(caught.value)


def test_another_service_is_told_apart(airbyte, tmp_path):
    url = str(airbyte.client.api._http.base_url)
    with pytest.raises(ImportFault, match="is not dremio|does not answer as|refuses"):
        import_system("dremio", url, None, "wr0ng-password", tmp_path / "new")


@pytest.mark.service
def test_taking_over_the_embedded_airbyte_changes_nothing(embedded_airbyte):
    client, facts = embedded_airbyte.client, embedded_airbyte.facts
    by_hand(client, facts["source"], facts["destination"], **NIGHTLY)

    def state() -> list:
        paths = ("/sources", "/destinations", "/connections")
        found = [live for path in paths for live in client.every(path, {})]
        return [in_order(live) if "configurations" in live else live for live in found]

    before = state()
    listing = reader.read(client).listing("airbyte", "http://x")
    mine = [adopted for adopted in listing.objects if adopted.key.lower().startswith("shop to")]
    assert mine
    assert not [one for one in listing.refused if one.key in ("Shop", "Lake", "Shop to lake")]
    secrets = dict.fromkeys(listing.secrets, "")
    for name in secrets:
        kind = "destination" if "destination" in name else "source"
        key = "secret_access_key" if kind == "destination" else "password"
        secrets[name] = facts[kind][key]
    take_over(client, listing, secrets)
    assert state() == before


def test_a_page_instead_of_an_api_is_told(tmp_path):
    async def page(request):
        return HTMLResponse("<html>Welcome</html>")

    app = Starlette(routes=[Route("/{rest:path}", page, methods=["GET", "POST"])])
    with serving(app) as url, pytest.raises(ImportFault, match="does not answer as airbyte does"):
        import_system("airbyte", url, None, SECRET, tmp_path / "new")
