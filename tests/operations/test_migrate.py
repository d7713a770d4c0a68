"""Carrying a flow's state over, between two real Airbytes, stores and databases."""

import io
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import psycopg
import pytest
from minio import Minio

from flow.commerce import FLOW
from flow.derive import BUCKET
from operations import lake
from operations.migrate import (
    MigrationError,
    copy_rows,
    copy_users,
    migrate,
    pending_states,
    put_state,
)
from pipeline.history import SCHEMA
from services.minio import config as minio_config
from services.shop.__main__ import read_config, seed
from tests.services.running import installed
from tests.support.databases import connect, new_database, source_system
from tests.support.engines import declare_connection, object_store, running_airbyte
from tests.support.ports import free_ports
from tools.paths import Paths
from tools.stack import Stack

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SOURCE = FLOW.sources[0]
STREAMS = FLOW.streams_of("postgres")


@pytest.fixture
def shop(postgres_server, tmp_path):
    config = read_config(
        new_database(postgres_server, "migrate-shop", tmp_path) | {"orders": 1000}
    )
    seed(config, datetime.now(UTC).date())
    return config


def state_at(cursor: str) -> dict:
    name = {"name": "orders", "namespace": "public"}
    entry = {"streamDescriptor": name, "streamState": {"cursor": cursor}}
    return {"stateType": "stream", "streamState": [entry]}


def test_a_state_goes_along_once(postgres_server, minio_server, service_place, shop, tmp_path):
    databases = [
        new_database(postgres_server, f"migrate-airbyte-{name}", tmp_path) for name in "ab"
    ]
    password = postgres_server.password
    system = source_system(postgres_server, shop.dbname)
    with (
        running_airbyte(service_place("airbyte-old"), databases[0], password) as (_, old),
        running_airbyte(service_place("airbyte-new"), databases[1], password) as (_, new),
    ):
        before, after = (
            declare_connection(client, SOURCE, STREAMS, system, minio_server)
            for client in (old, new)
        )
        assert pending_states(old, new) == {}  # it has not synced
        put_state(old, before, state_at("2026-01-02"))
        states = pending_states(old, new)
        assert set(states) == {after}
        put_state(new, after, states[after])
        assert pending_states(old, new) == {}  # migrated again: nothing left to do

        put_state(new, after, state_at("2026-01-03"))
        with pytest.raises(MigrationError, match="'postgres': has synced in the new stack"):
            pending_states(old, new)


def test_a_stack_is_not_migrated_to_itself():
    stack = Stack(name="local", paths=Paths.find())
    with pytest.raises(MigrationError, match="expected another one"):
        migrate(stack, stack, print)


@pytest.fixture
def second_store(service_place) -> Minio:
    place, (port, console) = service_place("minio-new"), free_ports(2)
    password_file, password = place.secret("root-password")
    command = minio_config.command(
        binary=installed(Paths.find().bin / "minio"),
        data_dir=place.data,
        port=port,
        console_port=console,
    )
    env = minio_config.environment(root_user="root", root_password_file=password_file)
    ready = f"http://127.0.0.1:{port}/minio/health/ready"
    with place.running(command, lambda: httpx.get(ready).is_success, env):
        client = Minio(f"127.0.0.1:{port}", access_key="root", secret_key=password, secure=False)
        client.make_bucket(BUCKET)
        yield client


def put(store: Minio, name: str, content: bytes) -> None:
    store.put_object(BUCKET, name, io.BytesIO(content), len(content), content_type="text/x-test")


def test_objects_that_are_missing_are_copied(minio_server, second_store):
    store = object_store(minio_server)
    for name in ("bronze/a", "bronze/b/c", "gold/d"):
        put(store, name, name.encode())
    put(second_store, "bronze/a", b"its own")
    assert lake.copy(store, second_store, "bronze/") == 1
    names = [o.object_name for o in second_store.list_objects(BUCKET, recursive=True)]
    assert names == ["bronze/a", "bronze/b/c"]
    assert lake.sha256(second_store, "bronze/b/c") == lake.sha256(store, "bronze/b/c")
    assert second_store.stat_object(BUCKET, "bronze/b/c").content_type == "text/x-test"
    assert lake.copy(store, second_store, "bronze/") == 0


@pytest.fixture
def pair(postgres_server, tmp_path) -> tuple[psycopg.Connection, psycopg.Connection]:
    """Two empty databases."""
    for name in ("migrate-old", "migrate-new"):
        new_database(postgres_server, name, tmp_path)
    with (
        connect(postgres_server, "migrate-old") as old,
        connect(postgres_server, "migrate-new") as new,
    ):
        yield old, new


def test_rows_are_added_once(pair):
    old, new = pair
    shared, only_old, only_new = uuid4(), uuid4(), uuid4()
    for db, ids in ((old, (shared, only_old)), (new, (shared, only_new))):
        db.execute(SCHEMA)
        for id_ in ids:
            db.execute(
                "INSERT INTO dbt_run_history (run_id, metadata) VALUES (%s, %s)",
                [id_, '{"nodes": [{"name": "a\\tb"}]}'],
            )
    new.execute("ALTER TABLE dbt_run_history ADD added_later TEXT")
    assert copy_rows(old, new, "dbt_run_history") == 1
    assert copy_rows(old, new, "dbt_run_history") == 0
    found = new.execute("SELECT run_id, metadata FROM dbt_run_history").fetchall()
    assert {row[0] for row in found} == {shared, only_old, only_new}
    assert all(row[1] == {"nodes": [{"name": "a\tb"}]} for row in found)


# As Superset's migrations make them, less what nobody copies.
USERS = """
CREATE SEQUENCE ab_user_id_seq; CREATE SEQUENCE ab_user_role_id_seq;
CREATE TABLE ab_user (
    id INTEGER PRIMARY KEY, first_name VARCHAR NOT NULL, last_name VARCHAR NOT NULL,
    username VARCHAR NOT NULL UNIQUE, password VARCHAR, active BOOLEAN,
    email VARCHAR NOT NULL UNIQUE, created_by_fk INTEGER REFERENCES ab_user
);
CREATE TABLE ab_role (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE);
CREATE TABLE ab_user_role (
    id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES ab_user, role_id INTEGER REFERENCES ab_role,
    UNIQUE (user_id, role_id)
);
"""


def add_user(db, name: str, password: str, *roles: str) -> None:
    [number] = db.execute("SELECT nextval('ab_user_id_seq')").fetchone()
    db.execute(
        "INSERT INTO ab_user VALUES (%s, 'A', 'B', %s, %s, TRUE, %s)",
        [number, name, password, f"{name}@example.com"],
    )
    for role in roles:
        db.execute(
            "INSERT INTO ab_user_role SELECT nextval('ab_user_role_id_seq'), %s, id "
            "FROM ab_role WHERE name = %s",
            [number, role],
        )


def test_users_keep_password_and_roles_and_nobody_is_changed(pair):
    old, new = pair
    for db, roles in ((old, ("Gamma", "Admin", "Own")), (new, ("Admin", "Gamma"))):
        db.execute(USERS)
        for number, role in enumerate(roles):
            db.execute("INSERT INTO ab_role VALUES (%s, %s)", [number, role])
    add_user(old, "admin", "hash-of-old", "Admin")
    add_user(old, "ada", "hash-of-ada", "Gamma", "Own")
    add_user(new, "admin", "hash-of-new", "Admin")
    assert copy_users(old, new) == 1
    assert copy_users(old, new) == 0
    users = dict(new.execute("SELECT username, password FROM ab_user").fetchall())
    assert users == {"admin": "hash-of-new", "ada": "hash-of-ada"}
    held = new.execute(
        "SELECT u.username, r.name FROM ab_user_role ur JOIN ab_user u ON u.id = ur.user_id "
        "JOIN ab_role r ON r.id = ur.role_id ORDER BY 1"
    ).fetchall()
    assert held == [("ada", "Gamma"), ("admin", "Admin")]
