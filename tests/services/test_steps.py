"""The bootstrap steps of the services, and what they have installed."""

import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest

from tests.services.running import installed
from tools.paths import Paths
from tools.step import Log, StepError
from tools.steps import services


@pytest.fixture
def log(tmp_path):
    return Log(io.StringIO(), tmp_path / "scratch", lambda text: None, threading.Event())


@pytest.fixture
def java_home():
    """A Java home that every user may run, unlike pytest's own folders."""
    root = Path(tempfile.mkdtemp(prefix="dataflow-java-"))
    root.chmod(0o755)
    (root / "bin").mkdir()
    (root / "bin/java").touch(mode=0o755)
    yield root
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("release", "major"), [('X="1"\nJAVA_VERSION="21.0.4"\n', 21), ('JAVA_VERSION="25"', 25)]
)
def test_a_java_that_is_new_enough_is_found_by_java_home(java_home, release, major):
    (java_home / "release").write_text(release)
    assert services._java_major(java_home) == major
    assert next(services._java_homes({"JAVA_HOME": str(java_home)})) == java_home


@pytest.mark.parametrize("release", ['JAVA_VERSION="17.0.15"', 'JAVA_VERSION="1.8.0_392"', ""])
def test_an_older_java_is_passed_over(java_home, release):
    (java_home / "release").write_text(release)
    assert java_home not in services._java_homes({"JAVA_HOME": str(java_home)})


def test_a_java_that_only_its_owner_may_run_is_passed_over(java_home):
    (java_home / "release").write_text('JAVA_VERSION="25"')
    java_home.chmod(0o700)
    assert java_home not in services._java_homes({"JAVA_HOME": str(java_home)})


def test_an_artifact_with_other_content_than_the_pinned_is_refused(log, tmp_path, monkeypatch):
    """With a Maven that writes what a damaged mirror would send."""
    maven = tmp_path / "mvn"
    maven.write_text(
        "#!/bin/sh\nfor a; do case $a in -DoutputDirectory=*) d=${a#*=};; esac; done\n"
        'mkdir -p "$d" && printf damaged > "$d/thing-1.jar"\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pinned = services.Artifact(coordinates="group:thing:1", sha256="0" * 64)
    with pytest.raises(StepError, match="group:thing:1: SHA-256 is [0-9a-f]{64}, expected 0000"):
        services._fetch(log, pinned, tmp_path)


def test_unpacked_programs_stay_executable(tmp_path):
    entry = zipfile.ZipInfo("top/bin/run")
    entry.external_attr = 0o755 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "#!/bin/sh\n")
        archive.writestr(zipfile.ZipInfo("top/data"), "text")
    services._unzip(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/top/bin/run").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "out/top/data").stat().st_mode & 0o111


def test_every_step_says_what_it_makes_and_what_to_do_when_it_fails(paths):
    made = services.steps(paths)
    assert {step.name for step in made} == {
        *("postgresql", "elasticsearch", "prometheus", "superset", "dbt", "source-faker"),
    }
    for step in made:
        assert step.outputs and step.hint
        assert all(output.is_relative_to(paths.home) for output in step.outputs)


def test_a_machine_that_no_postgresql_is_published_for_is_named(log, paths, tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    monkeypatch.setattr(services, "POSTGRESQL_MAJOR", 1000)  # no server here is that new
    elsewhere = Paths(root=paths.root, home=tmp_path)
    (step,) = (step for step in services.steps(elsewhere) if step.name == "postgresql")
    with pytest.raises(StepError, match="no PostgreSQL is published for 's390x'"):
        step.run(log)


@pytest.mark.service
@pytest.mark.timeout(240)
def test_the_installed_environments_work_for_the_services_user(paths, make_place):
    place = make_place("environments")
    superset, dbt, faker = (
        installed(paths.venvs / name / "bin" / program)
        for name, program in (
            ("superset", "python"),
            ("dbt", "dbt"),
            ("source-faker", "source-faker"),
        )
    )
    dialect = (
        "from sqlalchemy.engine.url import make_url;"
        "print(make_url('dremio+flight://u:p@h:1/dremio').get_dialect().__name__)"
    )
    assert _output(place, superset, "-c", dialect) == "DremioDialect_flight\n"
    assert "dremio: 1.11.0" in _output(place, dbt, "--version")
    spec = json.loads(_output(place, faker, "spec").splitlines()[-1])
    assert spec["type"] == "SPEC"


def _output(place, *command):
    process = place.popen(
        [str(part) for part in command],
        {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed.decode()
    return printed.decode()
