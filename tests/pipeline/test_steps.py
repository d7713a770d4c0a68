"""Each step against doubles of its service: what fails, and what is told."""

import pytest

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio.client import DremioClient
from pipeline import dremio as dremio_steps
from pipeline import superset as superset_steps
from pipeline import sync
from pipeline.config import SupersetConfig
from pipeline.progress import StepError
from tests.pipeline.conftest import SECRET, shown
from tests.support.ports import free_ports


@pytest.fixture
def airbyte_client(airbyte):
    client = AirbyteClient(airbyte.url, SECRET)
    yield client
    client.close()


@pytest.fixture
def dremio_client(dremio):
    client = DremioClient(dremio.url, SECRET)
    yield client
    client.close()


def test_all_connections_are_synced(airbyte, airbyte_client, progress):
    with progress.step("sync", "Sync") as step:
        sync.run(airbyte_client, ["postgres", "api"], step)
    started = airbyte.asked("POST", "/api/public/v1/jobs")
    assert sorted(body["connectionId"] for body in started) == ["id-api", "id-postgres"]
    assert "200 rows from 2 connections" in shown(progress)


def test_a_failed_sync_is_told_and_the_others_finish(airbyte, airbyte_client, progress):
    airbyte.failing = {"postgres"}
    with pytest.raises(StepError, match="sync failed for postgres") as error:
        with progress.step("sync", "Sync") as step:
            sync.run(airbyte_client, ["postgres", "api"], step)
    assert "postgres: failed: job" in shown(progress)
    assert "the source refused the password" in shown(progress)
    assert "api: 100 rows" in shown(progress)
    assert "run the pipeline again" in error.value.remedy


def test_a_sync_that_runs_already_is_waited_for(airbyte, airbyte_client, progress):
    airbyte.running_jobs = {"postgres": 7}
    with progress.step("sync", "Sync") as step:
        sync.run(airbyte_client, ["postgres"], step)
    assert airbyte.jobs[7]["polls"] > 1
    assert set(airbyte.jobs) == {7}


def test_an_unknown_connection_starts_nothing(airbyte, airbyte_client, progress):
    with pytest.raises(StepError, match="connection 'crm': unknown, Airbyte has api, postgres"):
        with progress.step("sync", "Sync") as step:
            sync.run(airbyte_client, ["postgres", "crm"], step)
    assert not airbyte.jobs


def test_metadata_is_refreshed_by_path(dremio, dremio_client, progress):
    with progress.step("metadata", "Metadata") as step:
        dremio_steps.refresh_metadata(dremio_client, [["lake", 'a"b', "c.d"]], step)
    assert dremio.sql == ['ALTER TABLE "lake"."a""b"."c.d" REFRESH METADATA']


def test_a_failed_metadata_refresh_names_the_dataset(dremio, dremio_client, progress):
    dremio.broken_sql = "orders"
    with pytest.raises(StepError, match=r"metadata of lake\.orders: the folder is empty"):
        with progress.step("metadata", "Metadata") as step:
            dremio_steps.refresh_metadata(dremio_client, [["lake", "orders"]], step)


def test_reflections_are_waited_for(dremio, dremio_client, progress):
    with progress.step("reflections", "Reflections") as step:
        dremio_steps.refresh_reflections(dremio_client, [["gold", "fct_orders"]], step)
    assert dremio.sql == ['ALTER VIEW "gold"."fct_orders" REFRESH REFLECTIONS']
    assert "r-gold.fct_orders on gold.fct_orders: available" in shown(progress)


def test_a_reflection_that_dremio_gave_up_is_an_error(dremio, dremio_client, progress):
    dremio.reflection_status = {"refresh": "GIVEN_UP", "combinedStatus": "FAILED"}
    with pytest.raises(StepError, match=r"r-gold\.fct_orders: FAILED"):
        with progress.step("reflections", "Reflections") as step:
            dremio_steps.refresh_reflections(dremio_client, [["gold", "fct_orders"]], step)


def test_a_reflection_that_stays_unavailable_is_an_error(
    dremio, dremio_client, progress, monkeypatch
):
    monkeypatch.setattr(dremio_steps, "REFLECTION_TIMEOUT_S", 0.5)
    dremio.reflection_status = {"refresh": "RUNNING", "availability": "NONE"}
    with pytest.raises(StepError, match="not done after"):
        with progress.step("reflections", "Reflections") as step:
            dremio_steps.refresh_reflections(dremio_client, [["gold", "fct_orders"]], step)


def superset_config(tmp_path, url):
    password = tmp_path / "password"
    password.write_text(SECRET)
    return SupersetConfig(url=url, username="u", password_file=password, dashboards=("sales",))


def test_charts_are_queried_anew(superset, progress, tmp_path):
    with progress.step("dashboards", "Dashboards") as step:
        superset_steps.warm(superset_config(tmp_path, superset.url), step)
    [query] = superset.asked("POST", "/api/v1/chart/data")
    assert query == {"queries": [{"metrics": ["m"]}], "force": True}
    assert "1 charts, 1 skipped" in shown(progress)


def test_a_superset_that_is_away_does_not_fail_the_run(progress, tmp_path, monkeypatch):
    monkeypatch.setattr(superset_steps, "CONNECT_DEADLINE_S", 0.2)
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with progress.step("dashboards", "Dashboards") as step:
        superset_steps.warm(superset_config(tmp_path, url), step)
    assert "skipped: superset" in shown(progress)
    assert SECRET not in shown(progress)


def test_an_answer_that_makes_no_sense_fails_the_sync_and_not_the_run(
    airbyte, airbyte_client, progress, monkeypatch
):
    monkeypatch.setattr(airbyte, "_jobs", lambda parameters: (200, {"data": []}))
    with pytest.raises(StepError, match="sync failed for postgres"):
        with progress.step("sync", "Sync") as step:
            sync.run(airbyte_client, ["postgres"], step)
