"""Superset as the stacks run it, on a PostgreSQL of its own."""

import json
import re
import time
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from services.postgresql import config as postgresql
from services.superset import config
from tests.services.running import connects, installed
from tests.support.ports import free_ports

pytestmark = pytest.mark.service
URI_PASSWORD = "hunter2-in-clear"


@pytest.fixture(scope="module")
def database(paths, make_place):
    """Its connection settings without the password's file, and the password."""
    home = installed(paths.opt / "postgresql")
    place = make_place("postgresql")
    password_file, password = place.secret("superuser")
    (port,) = free_ports(1)
    for name, text in postgresql.files(port=port, config_dir=place.config).items():
        place.write(name, text)
    place.init(postgresql.init(home=home, data_dir=place.data, password_file=password_file))
    command = postgresql.command(home=home, config_dir=place.config, data_dir=place.data)
    with place.running(command, lambda: connects(port)):
        where = {"host": "127.0.0.1", "port": port, "user": postgresql.SUPERUSER}
        with psycopg.connect(**where, password=password, autocommit=True) as connection:
            connection.execute("CREATE DATABASE superset")
        yield {**where, "dbname": "superset"}, password


@pytest.fixture(scope="module")
def place(make_place, database):
    place = make_place("superset")
    place.write("database", database[1])
    place.secret("secret-key")
    return place


@pytest.fixture(scope="module")
def start(paths, place, database):
    """Starts Superset with an administrator's password, on a port of its own."""
    venv = installed(paths.venvs / "superset")

    def start(password, other_key_file=None):
        (port,) = free_ports(1)
        texts = config.files(
            port=port,
            metadata={**database[0], "passwordFile": str(place.config / "database")},
            secret_key_file=place.config / "secret-key",
            other_secret_key_file=other_key_file,
            admin_user="admin",
            admin_password_file=place.write("admin", password),
            data_dir=place.data,
        )
        for name, text in texts.items():
            place.write(name, text)
        url = f"http://127.0.0.1:{port}"
        return url, place.running(
            config.command(venv),
            lambda: httpx.get(url + config.READY_PATH, timeout=30).is_success,
            config.environment(config_dir=place.config, data_dir=place.data),
            timeout_s=240,
        )

    return start


def login(url, password):
    body = {"username": "admin", "password": password, "provider": "db", "refresh": True}
    return httpx.post(f"{url}/api/v1/security/login", json=body, timeout=30)


@contextmanager
def signed_in(url, password):
    """A client that may write: bearer, CSRF token and the session that goes with it."""
    with httpx.Client(base_url=url, headers={"Accept": "application/json"}, timeout=30) as client:
        client.headers["Authorization"] = f"Bearer {login(url, password).json()['access_token']}"
        token = client.get("/api/v1/security/csrf_token/")
        client.headers["X-CSRFToken"] = token.json()["result"]
        yield client


@pytest.mark.timeout(600)
def test_it_prepares_its_database_serves_and_starts_quickly_the_next_time(
    start, place, database, record_property
):
    began = time.monotonic()
    url, running = start("first-password")
    with running:
        record_property("cold_start_s", time.monotonic() - began)
        assert login(url, "first-password").status_code == 200
        assert login(url, "guess").status_code == 401
        assert httpx.get(f"{url}/api/v1/chart/").status_code == 401
        _check_headers(url)
        _check_audit_log(url, database)
        _check_metrics(url)
        _check_load_event(url, database)
        _check_cache_is_private(place)
    log = place.logs / "output.log"
    assert "up to date" not in log.read_text()

    began = time.monotonic()
    url, running = start("first-password")
    with running:
        record_property("warm_start_s", time.monotonic() - began)
        assert "up to date" in log.read_text()
        assert login(url, "first-password").status_code == 200
        added = _add_database(url, database)

    # The configured password is the one that counts; and what the former key has encrypted stays.
    former = place.write("other-secret-key", (place.config / "secret-key").read_text())
    place.secret("secret-key")
    url, running = start("second-password", former)
    with running:
        assert login(url, "first-password").status_code == 401
        with signed_in(url, "second-password") as client:
            assert client.get(f"{added}/schemas/").json()["result"]  # connected with its password
    for secret in (database[1], "first-password", "second-password", URI_PASSWORD):
        assert secret not in log.read_text()


def _add_database(url, database) -> str:
    """By hand. Its path."""
    where, password = database
    uri = f"postgresql+psycopg2://postgres:{password}@127.0.0.1:{where['port']}/superset"
    with signed_in(url, "first-password") as client:
        body = {"database_name": "by hand", "sqlalchemy_uri": uri}
        made = client.post("/api/v1/database/", json=body, headers={"Referer": url})
        assert made.is_success, made.text
    return f"/api/v1/database/{made.json()['id']}"


def _check_headers(url):
    page = httpx.get(f"{url}/login/")
    policy = page.headers["Content-Security-Policy"]
    assert "http" not in policy  # no outside host
    assert "frame-ancestors 'self'" in policy
    assert "HttpOnly" in page.headers["Set-Cookie"]
    assert "Access-Control-Allow-Origin" not in page.headers


def _check_audit_log(url, database):
    """A refused write is written down, without the password that it carried."""
    body = {
        "database_name": "lake",
        "sqlalchemy_uri": f"dremio+flight://user:{URI_PASSWORD}@127.0.0.1:9/dremio",
    }
    with signed_in(url, "first-password") as client:
        without_token = client.post(
            "/api/v1/database/", json=body, headers={"X-CSRFToken": "", "Referer": url}
        )
        assert "CSRF" in without_token.text
        refused = client.post("/api/v1/database/", json=body)
    # The dialect was found, but there is no engine.
    assert refused.status_code == 400, refused.text
    assert refused.json()["errors"][0]["extra"]["engine_name"] == "Dremio"
    where, password = database
    with psycopg.connect(**where, password=password) as connection:
        rows = connection.execute("SELECT json FROM logs WHERE json LIKE '%lake%'").fetchall()
    assert rows
    assert all(URI_PASSWORD not in text and "[redacted]" in text for (text,) in rows)


def _check_metrics(url):
    text = httpx.get(f"{url}/metrics").text
    assert "# TYPE superset_query_cache_hit_rate gauge" in text
    assert "superset_query_cache_hits_total 0.0" in text
    assert "# TYPE superset_dashboard_load_time histogram" in text


def _check_load_event(url, database):
    """What a browser reports of a dashboard's charts reaches the audit log's hook."""
    event = {"event_name": "load_chart", "source": "dashboard", "impression_id": "from-a-browser"}
    with httpx.Client(base_url=url, timeout=30) as browser:
        page = browser.get("/login/").text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
        form = {"username": "admin", "password": "first-password", "csrf_token": token}
        assert browser.post("/login/", data=form).headers["Location"] == "/"
        events = {"events": json.dumps([event])}
        posted = browser.post("/superset/log/?explode=events", data=events)
        assert posted.status_code == 200, posted.text
    where, password = database
    with psycopg.connect(**where, password=password) as connection:
        query = "SELECT json FROM logs WHERE json LIKE '%from-a-browser%'"
        assert [json.loads(row[0]) for row in connection.execute(query)] == [event]


def _check_cache_is_private(place):
    assert (place.data / "cache").stat().st_mode & 0o077 == 0
