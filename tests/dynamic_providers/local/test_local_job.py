"""Programs that run to their end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dynamic_providers.handler import InputError
from dynamic_providers.local import job, proc
from dynamic_providers.local.run import ProgramError

PASSWORD = "s3cr3t-horse-battery"
COUNT = "echo run >> runs; cat ../config/greeting"


@pytest.fixture
def spec(stack, user):
    return job.normalize(
        {
            "stackDir": stack,
            "name": "setup",
            "command": ["/bin/sh", "-c", COUNT],
            "files": {"greeting": "hello"},
            "secretFiles": {"password": PASSWORD},
            "user": user,
            "triggers": {"version": "1"},
        }
    )


def folder(spec) -> Path:
    return Path(job.natural_key(spec))


def runs(spec) -> int:
    return (folder(spec) / "data/runs").read_text().count("run")


def test_lifecycle(spec):
    assert job.normalize(spec) == spec
    live = job.create(None, spec)
    assert runs(spec) == 1
    assert (folder(spec) / "logs/setup.log").read_text() == "hello"
    assert job.read(None, live.id, spec).inputs == spec
    assert job.create(None, spec).id == live.id  # an interrupted run is repeated
    assert runs(spec) == 2
    job.delete(None, live.id, spec)
    job.delete(None, live.id, spec)
    assert job.read(None, live.id, spec) is None
    assert not folder(spec).exists()


def test_a_job_may_not_dump_its_memory(spec):
    spec = job.normalize(spec | {"command": ["/bin/sh", "-c", "ulimit -H -c"]})
    job.create(None, spec)
    assert (folder(spec) / "logs/setup.log").read_text() == "0\n"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"triggers": {"version": "2"}}, 1),
        ({"files": {"greeting": "bye"}}, 1),
        ({"timeoutS": 5}, 0),
    ],
)
def test_it_runs_again_when_what_it_runs_with_changes(spec, change, again):
    live = job.create(None, spec)
    job.update(None, live.id, spec, {**spec, **change})
    assert runs(spec) == 1 + again


def test_a_failure_shows_the_last_lines_without_secrets(spec):
    command = ["/bin/sh", "-c", "echo first; cat ../config/password >&2; exit 7"]
    with pytest.raises(ProgramError) as failure:
        job.create(None, {**spec, "command": command})
    text = str(failure.value)
    assert "exit status 7" in text and "first" in text and "[secret]" in text
    assert PASSWORD not in text
    assert str(folder(spec) / "logs/setup.log") in text


def test_a_program_that_does_not_exist_is_named(spec):
    with pytest.raises(ProgramError, match="'/no/such/program'"):
        job.create(None, {**spec, "command": ["/no/such/program"]})


def test_at_the_end_of_the_time_the_whole_group_ends(spec):
    command = ["/bin/sh", "-c", "echo $$; (trap '' TERM; sleep 600) & wait"]
    with pytest.raises(ProgramError, match="still running after 1 s"):
        job.create(None, {**spec, "command": command, "timeoutS": 1})
    group = int((folder(spec) / "logs/setup.log").read_text())
    assert proc.group_members(group) == []


def test_it_ends_with_a_killed_provider(spec, wait_until, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps({**spec, "command": [
        "/bin/sh", "-c", "echo $$; (trap '' TERM; sleep 600) & wait"]}))  # fmt: skip
    program = textwrap.dedent("""\
        import json, sys
        from dynamic_providers.local import job
        job.create(None, json.load(open(sys.argv[1])))
    """)
    provider = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "spec.json")],
        cwd=Path(job.__file__).parents[2],
    )
    log = folder(spec) / "logs/setup.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    group = int(log.read_text())
    wait_until(lambda: len(proc.group_members(group)) > 1)  # it prints before it has a child
    os.kill(provider.pid, signal.SIGKILL)
    provider.wait()
    wait_until(lambda: proc.group_members(group) == [])


def test_nothing_stays_in_the_background(spec):
    command = ["/bin/sh", "-c", "echo $$; sleep 600 & exit 0"]
    job.create(None, {**spec, "command": command})
    group = int((folder(spec) / "logs/setup.log").read_text())
    assert proc.group_members(group) == []


def test_wrong_inputs_are_named(spec):
    with pytest.raises(InputError, match="timeoutS: -1"):
        job.normalize({**spec, "timeoutS": -1})
    with pytest.raises(InputError, match="triggers"):
        job.normalize({**spec, "triggers": ["a"]})
