"""Carries the state of a flow from one stack to another, such as from `local` to `dev`.

Goes along: the files in bronze with the state of the connections that wrote them, so that the
first sync of the new stack reads only what is new; the history of dbt's runs; Superset's users,
with their passwords and roles. What is derived from bronze is built anew, what is declared comes
with `up`. Both stacks are used through their services alone, so how they run does not matter.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.airbyte.connection import GONE
from flow.model import Layer
from operations import clients, lake
from operations.archive import BackupError
from operations.backup import quiet
from operations.restore import STORES, deploy
from tools.running import not_deployed
from tools.stack import Stack

# What the state of a connection can be put into, before its first sync.
CONNECTIONS = (
    "dataflow:ingestion:Airbyte",
    "dataflow:ingestion:Connections::",
    "airbyte:Source::",
    "airbyte:Destination::",
    "airbyte:Connection::",
)
NO_STATE = "not_set"
HISTORY = ("pipeline", "dbt_run_history")  # database, table
USERS = "superset"
USER_COLUMNS = ("first_name", "last_name", "username", "password", "active", "email")
ROLES = """
SELECT u.username, r.name FROM ab_user_role ur
JOIN ab_user u ON u.id = ur.user_id JOIN ab_role r ON r.id = ur.role_id
"""
NEW_USER = """
INSERT INTO ab_user (id, {columns}) VALUES (nextval('ab_user_id_seq'), {values})
ON CONFLICT DO NOTHING
"""
NEW_ROLE = """
INSERT INTO ab_user_role (id, user_id, role_id)
SELECT nextval('ab_user_role_id_seq'), u.id, r.id FROM ab_user u, ab_role r
WHERE u.username = %s AND r.name = %s
"""

Say = Callable[[str], None]
Db = psycopg.Connection[tuple[Any, ...]]


class MigrationError(BackupError):
    """A migration that would lose or double something; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """objects, states, runs, users: how many of each went along."""

    objects: int
    states: int
    runs: int
    users: int


def check(source: Stack, target: Stack) -> None:
    """Raises MigrationError, StackError for stacks that do not fit."""
    if source.name == target.name:
        raise MigrationError(f"stack {source.name!r}: expected another one to migrate to")
    source.require()
    if not source.resources():
        raise not_deployed(source)


def migrate(source: Stack, target: Stack, say: Say) -> Migrated:
    """Raises MigrationError, StackError. May be run again: what is there already stays."""
    check(source, target)
    target.create()
    with quiet(source, f"migration to {target.name}"):
        deploy(target, *STORES, *CONNECTIONS)
        with clients.airbyte(source) as old, clients.airbyte(target) as new:
            states = pending_states(old, new)
            objects = lake.copy(clients.store(source), clients.store(target), f"{Layer.BRONZE}/")
            say(f"lake: {objects} objects of {Layer.BRONZE} copied")
            # After the files: a state without them would be a loss.
            for connection, state in states.items():
                put_state(new, connection, state)
            say(f"Airbyte: state of {len(states)} connections")
        deploy(target)
        with _databases(source, target, HISTORY[0]) as (old_db, new_db):
            runs = copy_rows(old_db, new_db, HISTORY[1])
        with _databases(source, target, USERS) as (old_db, new_db):
            users = copy_users(old_db, new_db)
        say(f"history of {runs} runs of dbt; {users} users of Superset")
    return Migrated(objects=objects, states=len(states), runs=runs, users=users)


def pending_states(source: AirbyteClient, target: AirbyteClient) -> dict[str, dict[str, Any]]:
    """Id of a connection of the target -> the state that it is to get, of the source's connection
    of the same name. Raises MigrationError where it has synced by itself."""
    wanted = _connections(source)
    found = {}
    for name, id_ in _connections(target).items():
        if name not in wanted or (state := _state(source, wanted[name])) is None:
            continue
        own = _state(target, id_)
        if own == state:
            continue  # an earlier migration was interrupted after it
        if own is not None:
            raise MigrationError(
                f"connection {name!r}: has synced in the new stack already, so that what it read "
                "would be in bronze twice: migrate into a stack that is not deployed"
            )
        found[id_] = state
    return found


def put_state(client: AirbyteClient, connection: str, state: dict[str, Any]) -> None:
    """Raises ApiError 423 while the connection syncs."""
    body = {
        "connectionId": connection,
        "connectionState": {**state, "connectionId": connection},
    }
    if client.config("/state/create_or_update_safe", body) is None:
        raise MigrationError(f"connection {connection}: is gone: migrate again")


def copy_rows(source: Db, target: Db, table: str) -> int:
    """Rows that the target lacked by its primary key. Columns that one of the two lacks stay
    empty."""
    columns = [column for column in _columns(target, table) if column in _columns(source, table)]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    name = sql.Identifier(table)
    with target.transaction():
        target.execute(
            sql.SQL(
                "CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0"
            ).format(names, name)
        )
        with (
            source.cursor().copy(sql.SQL("COPY {} ({}) TO STDOUT").format(name, names)) as out,
            target.cursor().copy("COPY incoming FROM STDIN") as into,
        ):
            for part in out:
                into.write(part)
        return target.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM incoming ON CONFLICT DO NOTHING").format(
                name, names, names
            )
        ).rowcount


def copy_users(source: Db, target: Db) -> int:
    """Users that the target lacked, with the hash of their password and those of their roles that
    the target has."""
    columns = sql.SQL(", ").join(map(sql.Identifier, USER_COLUMNS))
    insert = sql.SQL(NEW_USER).format(
        columns=columns, values=sql.SQL(", ").join(sql.Placeholder() * len(USER_COLUMNS))
    )
    users = source.execute(sql.SQL("SELECT {} FROM ab_user").format(columns)).fetchall()
    roles = source.execute(ROLES).fetchall()
    added = set()
    with target.transaction():
        for user in users:
            if target.execute(insert, user).rowcount:
                added.add(user[USER_COLUMNS.index("username")])
        for username, role in roles:
            if username in added:
                target.execute(NEW_ROLE, [username, role])
    return len(added)


def _connections(client: AirbyteClient) -> dict[str, str]:
    """Name -> id."""
    listed = client.every("/connections", {})
    return {c["name"]: c["connectionId"] for c in listed if c["status"] != GONE}


def _state(client: AirbyteClient, connection: str) -> dict[str, Any] | None:
    answer = client.config("/state/get", {"connectionId": connection}) or {"stateType": NO_STATE}
    state = {key: value for key, value in answer.items() if key != "connectionId"}
    return None if state["stateType"] == NO_STATE else state


def _columns(db: Db, table: str) -> Sequence[str]:
    query = (
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return [str(row[0]) for row in db.execute(query, [table])]


@contextmanager
def _databases(source: Stack, target: Stack, database: str) -> Iterator[tuple[Db, Db]]:
    logins = [{**clients.postgres(stack), "dbname": database} for stack in (source, target)]
    with (
        psycopg.connect(**logins[0], autocommit=True) as old,
        psycopg.connect(**logins[1], autocommit=True) as new,
    ):
        yield old, new
