"""`bin/dataflow test`: sessions side by side, each of which counts and cleans up after itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from tests.services.running import wait_until
from tools import testing
from tools.paths import Paths

PASSES = "def test_passes():\n    pass\n"
FAILS = "def test_fails():\n    assert 'this' == 'that'\n"
# Runs until it is interrupted, and takes its time to clean up.
WAITS = """\
import pathlib, time, pytest
@pytest.fixture
def server():
    pathlib.Path("started").touch()
    yield
    time.sleep(1)
    pathlib.Path("cleaned").touch()
def test_waits(server):
    time.sleep(600)
"""
MAIN = """\
import sys
from pathlib import Path
from rich.console import Console
from tools import testing
from tools.paths import Paths
testing.SESSIONS = {"one": ("tests/one",)}
testing.run(Paths.find(root=Path(sys.argv[1])), Console())
"""


@pytest.fixture
def paths(tmp_path, monkeypatch) -> Iterator[Paths]:
    monkeypatch.setattr(testing, "SESSIONS", {"one": ("tests/one",)})
    (tmp_path / "tests/one").mkdir(parents=True)
    (tmp_path / "tests/two").mkdir()
    terminate = signal.getsignal(signal.SIGTERM)
    yield Paths.find(root=tmp_path)
    signal.signal(signal.SIGTERM, terminate)


def write(paths: Paths, one: str, two: str) -> None:
    for folder, text in (("one", one), ("two", two)):
        (paths.root / f"tests/{folder}/test_{folder}.py").write_text(text)


@pytest.mark.parametrize("failing", ["one", "two", ""])
def test_every_session_counts(paths, failing):
    write(paths, *(FAILS if failing == name else PASSES for name in ("one", "two")))
    shown = StringIO()
    code = testing.run(paths, Console(file=shown))
    assert (code != 0) == bool(failing)
    assert shown.getvalue().count("1 passed") == (2 if failing else 4)  # as it goes, and closing
    assert shown.getvalue().count("FAILED tests/") == (2 if failing else 0)


def test_a_session_for_each_folder_of_the_tests():
    root = Paths.find().root
    for arguments in testing.SESSIONS.values():
        for folder in arguments:
            assert folder.startswith("-") or (root / folder).is_dir()


def test_ctrl_c_lets_each_session_clean_up(paths):
    write(paths, WAITS, PASSES)
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(paths.root)],
        cwd=Paths.find().root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until((paths.root / "started").exists, 120)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) != 0
    finally:
        process.kill()
        process.wait()
    assert (paths.root / "cleaned").exists()
