"""`dataflow backup`, `restore`, `migrate` and `rotate` as commands: what is wrong is told before
anything is done."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from operations.archive import MANIFEST, write_manifest
from operations.sealed import Keys
from tools.cli import app

ABSENT = "stack 'absent' does not exist: create it with bin/dataflow up --stack absent"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Without any stack."""
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def backup(tmp_path):
    """Of a stack called `team`."""
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "lake.sealed").write_bytes(b"content")
    keys = Keys(seed="the seed of a stack", salt=bytes(16))
    write_manifest(folder, "team", datetime(2026, 1, 2, tzinfo=UTC), keys, {})
    return folder


def refused(home, *arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    assert not home.exists()  # nothing was installed or made
    return " ".join(done.output.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "--stack", "absent"),
        ("rotate", "--stack", "absent"),
        ("migrate", "--from", "absent", "--to", "other"),
    ],
)
def test_a_stack_that_does_not_exist_is_told(home, arguments):
    assert ABSENT in refused(home, *arguments)


def test_a_backup_of_a_missing_stack_leaves_no_folder(home, tmp_path):
    refused(home, "backup", "--stack", "absent", "--output", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_stack_is_not_migrated_to_itself(home):
    said = refused(home, "migrate", "--from", "local", "--to", "local")
    assert "stack 'local': expected another one to migrate to" in said


def test_a_folder_that_is_no_backup_is_told(home, tmp_path):
    said = refused(home, "restore", tmp_path)
    assert f"{tmp_path}: has no manifest.json: expected the folder of a backup" in said
    said = refused(home, "restore", tmp_path / "missing")
    assert "missing: has no manifest.json" in said


def test_the_backup_of_another_stack_is_told(home, backup):
    said = refused(home, "restore", backup, "--stack", "second")
    assert "is of stack 'team', not 'second': give --stack team" in said


@pytest.mark.parametrize("name", [MANIFEST, "lake.sealed"])
def test_a_damaged_backup_is_told(home, backup, name):
    (backup / name).write_bytes(b"other content")
    said = refused(home, "restore", backup, "--stack", "team")
    assert f"{name}: is damaged: it is not what was written" in said


@pytest.mark.parametrize("arguments", [(), ("x", "--at", "2026-11-27T05:00Z")])
def test_a_restore_wants_a_folder_and_no_time(home, arguments):
    said = refused(home, "restore", *arguments)
    assert "stack 'local': expected the folder of a backup, and no --at" in said


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("migrate", "--from", "local"), "Missing option '--to'"),
        (("migrate", "--to", "dev"), "Missing option '--from'"),
        (("backup", "--into", "x"), "No such option: --into"),
    ],
)
def test_what_was_not_said_is_told(home, arguments, missing):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 2
    assert missing.lower() in done.output.lower()
    assert not home.exists()
