"""Each part of a backup on real servers: what is saved comes back the same."""

import io
from pathlib import Path

import httpx
import psycopg
import pytest
from minio import Minio

from dynamic_providers.dremio import space, view
from dynamic_providers.local import control
from dynamic_providers.local.directory import ServiceDirectory
from flow.derive import BUCKET
from operations import catalog, lake, postgres, search
from operations.archive import BackupError
from operations.sealed import Keys
from services.postgresql import config as postgresql
from services.postgresql.ready import is_ready
from tests.services.running import Place, installed
from tests.support.databases import connect
from tests.support.engines import make, object_store, running_dremio
from tests.support.ports import free_ports
from tools.data import Folder
from tools.paths import Paths

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

KEYS = Keys(seed="the seed of a stack", salt=bytes(16))
PASSWORD = "of-the-owner-1"
NAMES = (
    "bronze/postgres/orders/date=2026-01-01/part 1 ü.parquet",
    "gold/fct_orders/0_0.parquet",
    "silver/empty.json",
)


def data_of(place: Place, stack_dir: Path) -> Folder:
    """Of a service that no supervisor runs."""
    directory = ServiceDirectory(place.root)
    return Folder(directory=directory, supervisor=control.of(str(stack_dir)))


@pytest.fixture
def login(postgres_server) -> dict:
    server = postgres_server
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
    }


def test_a_postgresql_server_comes_back_whole(
    postgres_server, login, tmp_path, service_place, request
):
    with connect(postgres_server) as db:
        db.execute(f"CREATE ROLE backup_owner LOGIN PASSWORD '{PASSWORD}'".encode())
        db.execute("CREATE DATABASE backup_db OWNER backup_owner")
    request.addfinalizer(lambda: _drop(postgres_server))
    owner = login | {"dbname": "backup_db", "user": "backup_owner", "password": PASSWORD}
    with psycopg.connect(**owner, autocommit=True) as db:
        db.execute("CREATE TABLE airbyte_state (id INT PRIMARY KEY, state JSONB)")
        db.execute(
            "INSERT INTO airbyte_state SELECT n, jsonb_build_object('cursor', n) "
            "FROM generate_series(1, 5000) n"
        )
    content = postgres.save(login, tmp_path, KEYS)
    assert content["rows"]["backup_db.public.airbyte_state"] == 5000
    assert b"airbyte_state" not in (tmp_path / postgres.FILE).read_bytes()
    with psycopg.connect(**owner, autocommit=True) as db:
        db.execute("DELETE FROM airbyte_state")  # after the backup: not in it

    place, (port,) = service_place("restored"), free_ports(1)
    with postgres.saved(tmp_path, KEYS) as archive:
        data_of(place, tmp_path).place(archive, postgres.CLUSTER)
    for name, text in postgresql.files(port=port, config_dir=place.config).items():
        place.write(name, text)
    command = postgresql.command(
        home=installed(Paths.find().opt / "postgresql"),
        config_dir=place.config,
        data_dir=place.data,
    )
    with place.running(command, lambda: is_ready(port)):
        restored = login | {"port": port}
        assert postgres.rows(restored).items() >= content["rows"].items()
        with psycopg.connect(**(owner | {"port": port})) as db:
            [total] = db.execute(
                "SELECT sum((state->>'cursor')::int) FROM airbyte_state"
            ).fetchone()
    assert total == 5000 * 5001 // 2


def _drop(server) -> None:
    with connect(server) as db:
        db.execute("DROP DATABASE IF EXISTS backup_db WITH (FORCE)")
        db.execute("DROP ROLE IF EXISTS backup_owner")


def test_a_role_without_the_right_is_refused(login, tmp_path, postgres_server):
    with connect(postgres_server) as db:
        db.execute("DROP ROLE IF EXISTS backup_nobody")
        db.execute(f"CREATE ROLE backup_nobody LOGIN PASSWORD '{PASSWORD}'".encode())
        # It may read what other tests have left on this server, but not copy the server.
        db.execute("GRANT pg_read_all_data TO backup_nobody")
    nobody = login | {"user": "backup_nobody", "password": PASSWORD}
    with pytest.raises(BackupError, match="REPLICATION attribute"):
        postgres.save(nobody, tmp_path, KEYS)
    with connect(postgres_server) as db:
        db.execute("DROP ROLE backup_nobody")


@pytest.fixture
def store(minio_server) -> Minio:
    return object_store(minio_server)


def fill(store: Minio) -> None:
    for number, name in enumerate(NAMES):
        content = bytes([number]) * (0 if "empty" in name else 6_000_000 * number + 10)
        store.put_object(
            BUCKET,
            name,
            io.BytesIO(content),
            len(content),
            content_type="application/x-parquet",
            metadata={"origin": f"test-{number}"},
        )


def seen(store: Minio) -> dict:
    found = {}
    for name in [o.object_name for o in store.list_objects(BUCKET, recursive=True)]:
        about = store.stat_object(BUCKET, name)
        origin = about.metadata.get("x-amz-meta-origin")
        found[name] = (lake.sha256(store, name), about.content_type, origin)
    return found


def empty(store: Minio) -> None:
    for found in list(store.list_objects(BUCKET, recursive=True)):
        store.remove_object(BUCKET, found.object_name)


def test_the_lake_comes_back_with_its_metadata(store, tmp_path):
    fill(store)
    before = seen(store)
    content = lake.save(store, tmp_path, KEYS)
    assert content["objects"] == len(NAMES) == len(before)
    empty(store)
    assert seen(store) == {}
    assert lake.load(store, tmp_path, KEYS) == content
    assert seen(store) == before
    assert lake.load(store, tmp_path, KEYS) == content  # again, after an interruption


def test_an_empty_lake_comes_back_empty(store, tmp_path):
    content = lake.save(store, tmp_path, KEYS)
    assert content["objects"] == 0
    assert lake.load(store, tmp_path, KEYS) == content


@pytest.fixture
def api(elasticsearch_server) -> httpx.Client:
    server = elasticsearch_server
    with httpx.Client(
        base_url=server.url, auth=(server.user, server.password), timeout=60
    ) as client:
        client.delete("/backup-logs-*?expand_wildcards=open")
        yield client
        for index in ("backup-logs-1", "backup-logs-2"):
            client.delete(f"/{index}")


def test_documents_come_back_under_their_ids(api, tmp_path):
    lines = []
    for number in range(2500):  # more than a page
        index = f"backup-logs-{1 + number % 2}"
        lines.append(f'{{"index": {{"_index": "{index}", "_id": "{number}"}}}}')
        lines.append(f'{{"message": "line {number} ü", "records_synced": {number}}}')
    headers = {"Content-Type": "application/x-ndjson"}
    api.post("/_bulk?refresh=true", content="\n".join(lines) + "\n", headers=headers)
    content = search.save(api, tmp_path, KEYS)
    assert content["backup-logs-1"] == content["backup-logs-2"] == 1250
    for index in ("backup-logs-1", "backup-logs-2"):
        assert api.delete(f"/{index}").is_success
    assert search.load(api, tmp_path, KEYS).items() >= content.items()
    found = api.get("/backup-logs-2/_doc/1777").json()
    assert found["_source"] == {"message": "line 1777 ü", "records_synced": 1777}
    assert search.load(api, tmp_path, KEYS).items() >= content.items()  # no twins


def test_a_document_that_is_refused_is_told(api, tmp_path):
    headers = {"Content-Type": "application/x-ndjson"}
    line = '{"index": {"_index": "backup-logs-1", "_id": "1"}}\n{"at": "not a date"}\n'
    api.post("/_bulk?refresh=true", content=line, headers=headers)
    search.save(api, tmp_path, KEYS)
    api.delete("/backup-logs-1")
    api.put("/backup-logs-1", json={"mappings": {"properties": {"at": {"type": "date"}}}})
    with pytest.raises(BackupError, match="elasticsearch: backup-logs-1: .*at"):
        search.load(api, tmp_path, KEYS)


def test_the_catalog_comes_back(tmp_path, service_place):
    old, new = service_place("dremio-old"), service_place("dremio-new")
    with running_dremio(old) as (_, client):
        make(space, client, name="gold")
        make(view, client, path=["gold", "one"], sql="SELECT 1 AS n")
        content = catalog.save(data_of(old, tmp_path), tmp_path, KEYS)
    assert content["files"] > 0
    assert b"SELECT 1" not in (tmp_path / catalog.FILE).read_bytes()
    with catalog.saved(tmp_path, KEYS) as archive:
        data_of(new, tmp_path).place(archive)
    with running_dremio(new) as (_, client):
        assert client.rows("SELECT n FROM gold.one") == [{"n": 1}]
