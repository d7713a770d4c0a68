"""Places and the engine's environment."""

import os
import threading
from pathlib import Path

import pytest

from tools.paths import OFFICIAL_PLUGINS_MARK, ROOT, Paths, engine_environment, ensure_passphrase


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.find({"DATAFLOW_HOME": str(tmp_path / "home")})


def test_everything_lies_in_the_home_that_is_named_or_in_the_project(paths, tmp_path):
    home = tmp_path / "home"
    assert paths.root == ROOT
    assert paths.service_dir("local", "minio") == home / "stacks/local/services/minio"
    assert Paths.find({}).home == ROOT / ".dataflow"
    assert Paths.find({"DATAFLOW_HOME": ""}).home == ROOT / ".dataflow"
    assert not home.exists()  # asking for a path makes nothing


def test_a_relative_home_is_refused():
    with pytest.raises(ValueError, match="'data': expected an absolute path"):
        Paths.find({"DATAFLOW_HOME": "data"})


def test_the_passphrase_is_made_once_and_only_its_owner_reads_it(paths):
    first = ensure_passphrase(paths).read_text()
    assert len(first) >= 32
    assert paths.passphrase_file.stat().st_mode & 0o777 == 0o600
    assert ensure_passphrase(paths).read_text() == first


def test_first_calls_at_the_same_time_agree_on_one_passphrase(paths):
    together = threading.Barrier(8)
    seen: list[str] = []

    def ask() -> None:
        together.wait()
        seen.append(ensure_passphrase(paths).read_text())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1 and len(seen) == 8
    assert [path.name for path in paths.home.iterdir()] == ["passphrase"]


def test_the_engine_finds_our_programs_first_and_no_stray_passphrase(paths):
    env = engine_environment(
        paths, {"PATH": "/usr/bin", "PULUMI_CONFIG_PASSPHRASE": "stray", "EXTRA": "kept"}
    )
    assert env["PATH"].split(os.pathsep) == [str(paths.bin), "/usr/bin"]
    assert "PULUMI_CONFIG_PASSPHRASE" not in env
    assert Path(env["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text()
    assert env["PULUMI_BACKEND_URL"] == f"file://{paths.state}"
    assert paths.state.is_dir()
    assert env["EXTRA"] == "kept"


def test_the_engine_fetches_plugins_only_where_the_vendor_s_were_installed(paths):
    name = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    assert engine_environment(paths, {})[name] == "true"
    paths.stamps.mkdir()
    (paths.stamps / OFFICIAL_PLUGINS_MARK).touch()
    assert name not in engine_environment(paths, {})


def test_the_engine_writes_no_logs_of_its_own(paths):
    logs = paths.pulumi_home / "logs"
    logs.mkdir(parents=True)
    (logs / "dev.log").touch()  # of before
    for _ in range(2):
        engine_environment(paths, {})
        assert logs.is_file()
