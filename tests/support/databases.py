"""Databases of the session's PostgreSQL, in the form in which settings files name them."""

from pathlib import Path
from typing import Any

import psycopg

from tests.services_fixtures import Server


def connect(server: Server, dbname: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname=dbname,
        autocommit=True,
    )


def source_system(server: Server, database: str) -> dict[str, Any]:
    """Settings of Airbyte's source-postgres that reads the database."""
    return {
        "host": server.host,
        "port": server.port,
        "database": database,
        "schemas": ["public"],
        "username": server.user,
        "password": server.password,
        "ssl_mode": {"mode": "disable"},
        "replication_method": {"method": "Standard"},
    }


def new_database(server: Server, name: str, folder: Path) -> dict[str, Any]:
    """Connection settings of a new, empty database; its password file is made in `folder`."""
    with connect(server) as db:
        db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        db.execute(f'CREATE DATABASE "{name}"'.encode())
    password_file = folder / "database-password"
    password_file.write_text(server.password)
    return {
        "host": server.host,
        "port": server.port,
        "dbname": name,
        "user": server.user,
        "passwordFile": str(password_file),
    }
