"""PostgreSQL as the stacks run it."""

import psycopg
import pytest

from services.init import Init
from services.postgresql import config
from tests.services.running import connects, installed
from tests.support.ports import free_ports

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server(paths, make_place):
    home = installed(paths.opt / "postgresql")
    place = make_place("postgresql")
    password_file, password = place.secret("superuser")
    (port,) = free_ports(1)
    for name, text in config.files(port=port, config_dir=place.config).items():
        place.write(name, text)
    place.init(config.init(home=home, data_dir=place.data, password_file=password_file))
    command = config.command(home=home, config_dir=place.config, data_dir=place.data)
    with place.running(command, lambda: connects(port)):
        yield place, f"host=127.0.0.1 port={port} user={config.SUPERUSER}", password


def test_it_is_ready_for_change_data_capture_and_independent_of_the_systems_locale(server):
    _, dsn, password = server
    with psycopg.connect(f"{dsn} dbname=postgres", password=password) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("wal_level", "data_checksums", "server_encoding", "TimeZone")
        }
        provider = connection.execute(
            "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'template0'"
        ).fetchone()
    assert shown == {
        "wal_level": "logical",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
    }
    assert provider == ("b", "C.UTF-8")


def test_a_wrong_password_and_no_password_are_refused(server):
    _, dsn, _ = server
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{dsn} dbname=postgres", password="guess")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"{dsn} dbname=postgres")


def test_a_failed_statement_does_not_put_its_password_into_the_log(server):
    place, dsn, password = server
    with psycopg.connect(f"{dsn} dbname=postgres", password=password) as connection:
        with pytest.raises(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE postgres LOGIN PASSWORD 'hunter2-in-clear'")
    log = (place.logs / "output.log").read_text()
    assert 'role "postgres" already exists' in log
    assert "hunter2" not in log


def test_a_cluster_left_half_made_is_made_again(paths, make_place):
    home = installed(paths.opt / "postgresql")
    place = make_place("interrupted")
    password_file, _ = place.secret("superuser")
    init = config.init(home=home, data_dir=place.data, password_file=password_file)
    left = place.data / "cluster.new" / "base"
    place.init(Init(command=("/bin/mkdir", "-p", str(left)), creates=str(left)))
    place.init(init)
    assert (place.data / "cluster" / "global" / "pg_control").exists()
    assert not (place.data / "cluster.new").exists()
