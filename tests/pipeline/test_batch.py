"""Whole runs: order, records, the lock, and what dbt can do wrong."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from dynamic_providers.waiting import wait_for
from pipeline import batch, dbt
from pipeline.__main__ import main
from pipeline.history import History, RunInProgress
from pipeline.progress import StepError
from tests.pipeline.conftest import SECRET, shown
from tests.pipeline.doubles import fake_dbt, results
from tests.support.ports import free_ports

pytestmark = pytest.mark.service  # PostgreSQL


def recorded(config):
    with History(config.database.login(), "test") as history:
        history.create_tables()
        return history.last_dbt_run(), history.last_run(config.stack)


def test_a_run_does_every_step_in_order_and_records_it(whole, progress, dremio):
    batch.run(whole, progress)
    names = ["sync", "metadata", "dbt", "reflections", "dashboards"]
    assert [name for name, _, _ in progress.steps] == names
    built, run = recorded(whole)
    assert (built["status"], built["models_run"], built["tests_run"]) == ("success", 1, 1)
    assert built["project_name"] == "shop"
    assert built["started_at"].tzinfo is None
    assert run["status"] == "success"
    assert [step["step"] for step in run["steps"]] == names


def test_a_run_may_be_repeated(whole, progress, tmp_path):
    batch.run(whole, progress)
    other = results(model__stg_orders="success")
    other["metadata"]["invocation_id"] = "0c9f4c0e-4cf8-44a5-9a55-3b1b3d5a8a1f"
    fake_dbt(tmp_path, sys.executable, other)
    batch.run(whole, progress)
    assert recorded(whole)[0]["tests_run"] == 0


def test_a_failed_step_stops_the_run_and_is_recorded(whole, progress, dremio):
    dremio.broken_sql = "REFRESH METADATA"
    with pytest.raises(StepError, match="the folder is empty"):
        batch.run(whole, progress)
    built, run = recorded(whole)
    assert built is None
    assert run["status"] == "failed" and "the folder is empty" in run["cause"]
    assert [step["step"] for step in run["steps"]] == ["sync"]


def test_a_failed_test_is_told_with_dbts_words(whole, progress, tmp_path):
    outcome = results(
        model__stg_orders="success",
        test__unique_stg_orders="fail",
        model__fct_orders="skipped",
    )
    fake_dbt(tmp_path, sys.executable, outcome)
    with pytest.raises(StepError, match="test unique_stg_orders: what test__unique_stg_orders"):
        batch.build(whole, progress)
    built, _ = recorded(whole)
    assert (built["status"], built["models_run"], built["tests_run"]) == ("failed", 1, 1)
    assert built["metadata"]["nodes"][1]["failures"] == 3


def test_results_of_an_earlier_build_do_not_pass_for_this_one(whole, progress, tmp_path):
    batch.build(whole, progress)
    fake_dbt(tmp_path, sys.executable, None, says="Traceback: no module named dbt")
    with pytest.raises(StepError, match="no module named dbt"):
        batch.build(whole, progress)
    built, _ = recorded(whole)
    assert built["status"] == "failed" and "no module named dbt" in built["metadata"]["fault"]


def test_a_build_of_nothing_is_a_failure(whole, progress, tmp_path):
    fake_dbt(tmp_path, sys.executable, results())
    with pytest.raises(StepError, match="nothing to build"):
        batch.build(whole, progress)


def test_a_dbt_that_does_not_end_is_stopped(whole, progress, tmp_path, monkeypatch):
    monkeypatch.setattr(dbt, "TIMEOUT_S", 0.5)
    fake_dbt(tmp_path, sys.executable, results(model__a="success"), takes_s=60)
    with pytest.raises(StepError, match="did not end within 0.5 s"):
        batch.build(whole, progress)


def test_a_missing_dbt_is_named(whole, progress):
    whole.dbt.executable.unlink()
    with pytest.raises(StepError, match=f"{whole.dbt.executable}: No such file"):
        batch.build(whole, progress)


def test_dbt_gets_the_password_in_its_environment_only(whole, progress):
    batch.build(whole, progress)
    seen = json.loads((whole.dbt.work_dir / "target" / "seen.json").read_text())
    assert seen["env"]["DBT_ENV_SECRET_DREMIO_PASSWORD"] == SECRET
    assert SECRET not in " ".join(seen["argv"])
    assert SECRET not in shown(progress)


def test_runs_of_one_stack_exclude_each_other(whole, config_file, progress, airbyte, capsys):
    with (
        History(whole.database.login(), "pipeline run") as history,
        history.lock(whole.stack, wait_s=0),
    ):
        assert main(["run", "--config", str(config_file)]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "another run is in progress (pipeline run, since" in told
    assert not airbyte.calls
    batch.run(whole, progress)  # the lock went with its connection


def test_runs_of_two_stacks_do_not(whole):
    with History(whole.database.login(), "a") as one, one.lock("one", wait_s=0):
        with History(whole.database.login(), "b") as two, two.lock("two", wait_s=0):
            pass
        with History(whole.database.login(), "c") as again, pytest.raises(RunInProgress):
            with again.lock("one", wait_s=0):
                pass


def test_the_database_must_be_there(settings, tmp_path, capsys):
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(settings))
    assert main(["run", "--config", str(file)]) == 1
    assert "database 'pipeline'" in capsys.readouterr().out


def test_the_summary_shows_each_dataset_even_when_one_is_broken(config_file, dremio, capsys):
    dremio.broken_sql = "fct_orders"
    assert main(["summary", "--config", str(config_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    [bronze] = [line for line in lines if "bronze" in line]
    [gold] = [line for line in lines if "gold" in line]
    assert "1,234" in bronze
    assert "FAILED: the folder is empty" in " ".join(gold.split())
    assert lines.index(bronze) < lines.index(gold)


def start(verb, config_file):
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", verb, "--config", str(config_file)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def dbts_process(config):
    """Process id of the dbt that has just been started."""
    seen = config.dbt.work_dir / "target" / "seen.json"

    def read():
        try:
            return json.loads(seen.read_text())["pid"]
        except (OSError, ValueError):
            return None

    return wait_for(read, 30, "dbt")


def test_an_interrupted_run_stops_dbt_and_says_so(whole, config_file, tmp_path):
    fake_dbt(tmp_path, sys.executable, None, takes_s=60)
    process = start("run", config_file)
    pid = dbts_process(whole)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in output
    assert recorded(whole)[1]["cause"] == "interrupted: KeyboardInterrupt"
    assert not Path(f"/proc/{pid}").exists()


def get(url):
    try:
        with urlopen(url) as answer:
            return answer.read().decode()
    except OSError:
        return None


@pytest.fixture
def served(whole_settings, tmp_path):
    """A settings file for the service, and its URL."""
    (port,) = free_ports(1)  # after the doubles have theirs: they could have got this one
    file = tmp_path / "served.json"
    file.write_text(json.dumps(whole_settings | {"schedule": "* * * * * ?", "port": port}))
    return file, f"http://127.0.0.1:{port}"


def test_the_service_runs_by_schedule_and_shows_metrics(served):
    file, url = served
    process = start("serve", file)
    try:
        health = wait_for(lambda: get(f"{url}/health"), 30, "health")
        assert json.loads(health)["status"] == "ok"

        def after_a_success():
            metrics = get(f"{url}/metrics")
            return metrics if "pipeline_last_success_timestamp_seconds" in metrics else None

        metrics = wait_for(after_a_success, 60, "a run")
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert 'dbt_model_execution_time{model="stg_orders",status="success"} 1.5' in metrics
    assert 'pipeline_step_duration_seconds{step="sync"}' in metrics
    assert process.returncode == 0


def test_a_service_that_is_stopped_stops_its_run(whole, served, tmp_path):
    fake_dbt(tmp_path, sys.executable, None, takes_s=60)
    process = start("serve", served[0])
    pid = dbts_process(whole)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not Path(f"/proc/{pid}").exists()
