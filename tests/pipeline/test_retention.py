"""The retention of logs against a real Elasticsearch, and against none."""

from datetime import date

import httpx
import pytest

from pipeline import retention
from pipeline.config import LogsConfig
from tests.pipeline.conftest import SECRET, shown
from tests.support.ports import free_ports

TODAY = date(2026, 3, 1)


def config(tmp_path, url, user="u", password=SECRET) -> LogsConfig:
    file = tmp_path / "password"
    file.write_text(password)
    return LogsConfig(url=url, username=user, password_file=file, retention_days=30)


@pytest.mark.service
def test_days_before_the_retention_are_deleted(elasticsearch_server, progress, tmp_path):
    server = elasticsearch_server
    expired = {"airbyte-logs-2026.01.29", "audit-2026.01.29"}
    kept = {"airbyte-logs-2026.01.30", "audit-2026.01.30"}
    named_otherwise = "airbyte-logs-2026.13.01"
    auth = (server.user, server.password)
    with httpx.Client(base_url=server.url, auth=auth, timeout=60) as api:
        for index in (*expired, *kept, named_otherwise):
            api.put(f"/{index}").raise_for_status()
        settings = config(tmp_path, server.url, server.user, server.password)
        with progress.step("logs", "Logs") as step:
            retention.delete_expired(settings, TODAY, step)
        left = {index["index"] for index in api.get("/_cat/indices?format=json").json()}
        assert not expired & left
        assert {*kept, named_otherwise} <= left
        for index in (*kept, named_otherwise):
            api.delete(f"/{index}").raise_for_status()
    assert "2 days deleted" in shown(progress)


def test_an_elasticsearch_that_is_away_does_not_fail_the_run(progress, tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "CONNECT_DEADLINE_S", 0.2)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with progress.step("logs", "Logs") as step:
        retention.delete_expired(config(tmp_path, url), TODAY, step)
    assert "skipped: elasticsearch" in shown(progress)
    assert SECRET not in shown(progress)


@pytest.mark.parametrize(
    ("index", "day"),
    [
        ("airbyte-logs-2026.02.28", date(2026, 2, 28)),
        ("audit-2026.02.28", date(2026, 2, 28)),
        ("airbyte-logs-2026.02.30", None),
        ("airbyte-logs-2026.02.28-old", None),
    ],
)
def test_the_day_of_an_index(index, day):
    assert retention.day_of(index) == day
