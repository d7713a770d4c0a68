"""A PostgreSQL server of its own for a test module, from the bootstrap's binaries."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tools.paths import Paths

START_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """host, port, superuser and the file with its password."""

    host: str
    port: int
    user: str
    password: str
    password_file: Path

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=dbname,
            autocommit=True,
        )

    def create_database(self, name: str) -> dict[str, object]:
        """Connection settings of a new database, as the project's JSON files have them."""
        with self.connect() as db:
            db.execute(f'CREATE DATABASE "{name}"'.encode())
        return {
            "host": self.host,
            "port": self.port,
            "dbname": name,
            "user": self.user,
            "passwordFile": str(self.password_file),
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unprivileged() -> dict[str, str]:
    """Arguments of subprocess.run that drop root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "dataflow" if "dataflow" in names else "nobody"}


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    bin_dir = Paths.find().opt / "postgresql" / "bin"
    if not (bin_dir / "postgres").exists():
        pytest.skip(f"no PostgreSQL in {bin_dir}: run the bootstrap (make up)")
    drop = unprivileged()
    # Not under tmp_path: pytest's folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.write_text(password)
    if drop:
        shutil.chown(folder, drop["user"])
        shutil.chown(password_file, drop["user"])
    port = free_port()
    data = folder / "data"
    control = [str(bin_dir / "pg_ctl"), "-D", str(data), "-w", "-t", str(START_TIMEOUT_S)]
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    try:
        _run(
            [str(bin_dir / "initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256",
             "--pwfile", str(password_file), "--no-sync", "-E", "UTF8", "--locale=C"],
            drop,
        )  # fmt: skip
        _run([*control, "-l", str(folder / "log"), "-o", settings, "start"], drop)
        try:
            yield Postgres(
                host="127.0.0.1",
                port=port,
                user="postgres",
                password=password,
                password_file=password_file,
            )
        finally:
            _run([*control, "-m", "immediate", "stop"], drop)
    finally:
        shutil.rmtree(folder)


def _run(command: list[str], drop: dict[str, str]) -> None:
    # Output to a file: the server inherits a pipe and would keep it open.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/", **drop
        )
        output.seek(0)
        assert done.returncode == 0, output.read()
