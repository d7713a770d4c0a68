"""What a step may use: commands, staged folders, keys."""

import io
import threading
from pathlib import Path

import pytest

from tools.step import Interrupted, Log, StepError, digest


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cancelled() -> threading.Event:
    return threading.Event()


@pytest.fixture
def log(tmp_path: Path, said: list[str], cancelled: threading.Event) -> Log:
    return Log(io.StringIO(), tmp_path / "scratch", said.append, cancelled)


def test_a_command_s_output_is_returned_and_logged_without_the_user_s_eyes(log, said):
    printed = log.run(["sh", "-c", 'echo "$WORD"; echo wrong >&2'], env={"WORD": "right"})
    assert sorted(printed.splitlines()) == ["right", "wrong"]
    assert {"right", "wrong"} <= set(log.tail)
    assert said == []


@pytest.mark.parametrize("command", [["sh", "-c", "exit 3"], ["/no/such/program"]])
def test_a_command_that_fails_says_which_and_what_to_do(log, command):
    with pytest.raises(StepError, match=command[0]) as caught:
        log.run(command, hint="do this")
    assert caught.value.hint == "do this"


def test_a_command_that_hangs_is_ended_with_its_children(log, tmp_path):
    pid_file = tmp_path / "pid"
    with pytest.raises(StepError, match="no end after"):
        log.run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"], timeout_s=0.5)
    state = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    assert not state.exists() or ") Z " in state.read_text()


def test_a_staged_folder_appears_whole_or_not_at_all(log, tmp_path):
    target = tmp_path / "opt/thing"
    with pytest.raises(OSError, match="no space"):
        with log.staged(target) as folder:
            (folder / "half").touch()
            raise OSError("no space")
    assert not target.exists()
    for content in ("old", "new"):
        with log.staged(target) as folder:
            (folder / content).touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert target.stat().st_mode & 0o777 == 0o755
    assert list((tmp_path / "scratch").iterdir()) == []


def test_nothing_appears_after_an_interruption(log, cancelled, tmp_path):
    with pytest.raises(Interrupted):
        with log.staged(tmp_path / "thing"):
            cancelled.set()
    assert not (tmp_path / "thing").exists()


def test_a_key_covers_names_contents_and_texts_but_no_caches(tmp_path):
    folder = tmp_path / "source"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a").write_text("1")
    before = digest("x", folder)
    (folder / "__pycache__/a.pyc").write_text("cache")
    assert digest("x", folder) == before
    keys = {before, digest("y", folder), digest(folder, "x")}
    (folder / "a").write_text("2")
    keys.add(digest("x", folder))
    (folder / "a").rename(folder / "b")
    keys.add(digest("x", folder))
    assert len(keys) == 5
    assert digest("ab", "c") != digest("a", "bc")
