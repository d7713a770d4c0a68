"""Sealed files and backups' folders: what was changed, cut off or mixed up is refused."""

import json
import os
import shutil
from datetime import UTC, datetime

import pytest

from operations.archive import (
    MANIFEST,
    BackupError,
    new_folder,
    read_manifest,
    verify,
    write_manifest,
)
from operations.sealed import CHUNK_BYTES, TAG_BYTES, Keys, SealError, sealing, unsealing

SEED = "the seed of a stack"
MADE = datetime(2026, 1, 2, tzinfo=UTC)
KEYS = Keys(seed=SEED, salt=bytes(16))
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


def seal(path, content: bytes, keys: Keys = KEYS) -> None:
    with sealing(path, keys) as out:
        for start in range(0, len(content), 300_000):
            out.write(content[start : start + 300_000])


def unseal(path, keys: Keys = KEYS, step: int = -1) -> bytes:
    with unsealing(path, keys) as source:
        parts = []
        while part := source.read(step):
            parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_comes_back_and_shows_nothing(tmp_path, size):
    content = os.urandom(16) * (size // 16) + bytes(size % 16)
    seal(tmp_path / "a", content)
    assert unseal(tmp_path / "a") == content
    assert unseal(tmp_path / "a", step=100_000) == content
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    if size:
        assert content[:64] not in (tmp_path / "a").read_bytes()


@pytest.mark.parametrize("size", [*SIZES, 2 * CHUNK_BYTES + 5])
def test_every_change_is_noticed(tmp_path, size):
    seal(tmp_path / "a", bytes(size))
    whole = (tmp_path / "a").read_bytes()
    step = CHUNK_BYTES + TAG_BYTES
    chunks = [whole[start : start + step] for start in range(0, len(whole), step)]
    changed = {
        "a bit": bytes([whole[0] ^ 1]) + whole[1:],
        "the end": whole[:-1],
        "the last chunk": b"".join(chunks[:-1]),
        "two chunks": b"".join(chunks[::-1]) if len(chunks) > 1 else b"",
        "one twice": b"".join([chunks[0], *chunks]),
        "more": whole + b"x",
    }
    for what, content in changed.items():
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(SealError, match="a: cannot be opened"):
            unseal(tmp_path / "a")
            pytest.fail(f"not noticed: {what}")


def test_another_seed_salt_or_name_opens_nothing(tmp_path):
    seal(tmp_path / "a", b"content")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    for keys in (Keys(seed="another", salt=bytes(16)), Keys(seed=SEED, salt=bytes(15) + b"1")):
        with pytest.raises(SealError):
            unseal(tmp_path / "a", keys)
    with pytest.raises(SealError):
        unseal(tmp_path / "b")
    assert SEED not in repr(KEYS)


@pytest.fixture
def backup(tmp_path):
    with new_folder(tmp_path / "backup") as folder:
        seal(folder / "lake.sealed", b"objects")
        (folder / "state.json").write_text("{}")
        write_manifest(folder, "local", MADE, KEYS, {"lake": {"objects": 1}})
    return tmp_path / "backup"


def test_a_whole_backup_is_taken(backup):
    manifest = read_manifest(backup)
    assert (manifest.stack, manifest.content["lake"]["objects"]) == ("local", 1)
    assert verify(backup, manifest, SEED) == KEYS
    assert not list(backup.parent.glob("*.part"))


def test_a_backup_that_fails_half_way_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "backup") as folder:
        (folder / "state.json").write_text("{}")
        assert not (tmp_path / "backup").exists()  # it has its name at the very end
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_killed_one_does_not_look_complete_and_is_swept_up(tmp_path):
    draft = tmp_path / ".backup.part"
    draft.mkdir()
    (draft / "stale").touch()
    with pytest.raises(BackupError, match="has no manifest.json"):
        read_manifest(draft)
    with new_folder(tmp_path / "backup"):
        pass
    assert list((tmp_path / "backup").iterdir()) == []


def test_an_existing_folder_is_not_touched(backup):
    with pytest.raises(BackupError, match="exists: give the name of a new folder"):
        with new_folder(backup):
            pytest.fail("not refused")
    read_manifest(backup)


def damage_file(backup):
    (backup / "state.json").write_text("{ }")


def lose_file(backup):
    (backup / "lake.sealed").unlink()


def add_file(backup):
    (backup / "other.sealed").touch()


def lose_manifest(backup):
    (backup / MANIFEST).unlink()


def cut_manifest(backup):
    text = (backup / MANIFEST).read_text()
    (backup / MANIFEST).write_text(text[: len(text) // 2])


def change_manifest(backup):
    signed = json.loads((backup / MANIFEST).read_text())
    signed["manifest"]["content"]["lake"]["objects"] = 0
    (backup / MANIFEST).write_text(json.dumps(signed))


def age(backup):
    signed = json.loads((backup / MANIFEST).read_text())
    signed["manifest"]["format"] = 3
    (backup / MANIFEST).write_text(json.dumps(signed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage_file, r"state\.json: is damaged"),
        (lose_file, r"lake\.sealed: is missing"),
        (add_file, r"other\.sealed: does not belong"),
        (lose_manifest, r"has no manifest\.json"),
        (cut_manifest, r"manifest\.json: is damaged"),
        (change_manifest, r"manifest\.json: was changed"),
        (age, "format 3: expected 2"),
    ],
)
def test_a_damaged_backup_is_refused(backup, change, message):
    change(backup)
    with pytest.raises(BackupError, match=message):
        verify(backup, read_manifest(backup), SEED)


def test_the_backup_of_another_seed_is_refused(backup):
    with pytest.raises(BackupError, match="another seed"):
        verify(backup, read_manifest(backup), "another seed")


def test_a_sealed_file_of_another_backup_is_refused(backup, tmp_path):
    """Though a new manifest was made for it."""
    (backup / "lake.sealed").unlink()
    (backup / MANIFEST).unlink()
    seal(backup / "lake.sealed", b"older objects", Keys(seed=SEED, salt=bytes(15) + b"1"))
    write_manifest(backup, "local", MADE, KEYS, {})
    with pytest.raises(BackupError, match=r"lake\.sealed: cannot be opened"):
        verify(backup, read_manifest(backup), SEED)
