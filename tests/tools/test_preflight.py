"""Checks of the machine, on facts that are given and on real folders."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from tools import preflight
from tools.paths import Paths
from tools.preflight import GIB, Facts, problems

GOOD = {
    "python": (3, 11),
    "versions": {"go": (1, 26, 8), "mvn": ()},
    "free_disk_bytes": 50 * GIB,
    "available_memory_bytes": 16 * GIB,
    "closed_folders": (),
}


def found(*, cold: bool = True, **changed: object) -> list[str]:
    return [problem.what for problem in problems(Facts(**{**GOOD, **changed}), cold=cold)]


def test_a_fitting_machine_has_no_problem():
    assert found() == []
    assert found(python=(3, 12), available_memory_bytes=None) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"python": (3, 13)}, "Python 3.13: expected 3.11 or 3.12"),
        ({"versions": {"go": None}}, "go 1.26 or newer is missing"),
        ({"versions": {"go": (1, 25, 9)}}, "go 1.25.9: expected 1.26 or newer"),
        ({"versions": {"mvn": None}}, "mvn is missing"),
        ({"free_disk_bytes": 9 * GIB}, "9.0 GiB of disk free: expected 10 GiB"),
        ({"available_memory_bytes": 2 * GIB}, "2.0 GiB of memory available: expected 6 GiB"),
        ({"closed_folders": (Path("/root"),)}, "'dataflow', who may not pass /root"),
    ],
)
def test_each_problem_names_what_is_and_what_is_expected(changed, message):
    (what,) = found(**changed)
    assert message in what


def test_all_problems_are_told_together_each_with_a_next_step():
    facts = Facts(**{**GOOD, "versions": {"go": None}, "free_disk_bytes": 0, "python": (3, 9)})
    console = Console(file=io.StringIO(), width=200)
    preflight.report(problems(facts, cold=True), console)
    text = console.file.getvalue()
    assert text.count("cannot start:") == text.count("next:") == 3


def test_sizes_matter_only_when_something_is_to_be_installed():
    assert found(cold=False, free_disk_bytes=0, available_memory_bytes=0) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts services as another user")
def test_a_closed_folder_on_the_way_to_the_home_is_found(tmp_path):
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0o700)
    facts = preflight.gather(Paths(root=Path("/usr"), home=closed / "below/home"), ())
    assert closed in facts.closed_folders
    assert closed / "below" not in facts.closed_folders
    closed.chmod(0o755)
    facts = preflight.gather(Paths(root=Path("/usr"), home=closed / "below/home"), ())
    assert closed not in facts.closed_folders


def test_the_version_of_a_program_is_read_from_what_it_prints(tmp_path, monkeypatch):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go version go1.27.1 linux/amd64\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert preflight.version_of("go") == (1, 27, 1)
    assert preflight.version_of("no-such-program") is None
