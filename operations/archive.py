"""A backup: a folder of files, and the manifest that says what belongs in it.

The folder gets its name when all of it is written, so a half-made backup never looks complete.
"""

import hashlib
import hmac
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from operations.sealed import Keys, SealError, unsealing
from tools.stack import StackError

FORMAT = 2
MANIFEST = "manifest.json"
SETTINGS = "settings.yaml"  # Pulumi.<stack>.yaml, whose seed is encrypted
STATE = "state.json"  # of the engine, whose secrets are encrypted
SEALED = ".sealed"
READ_BYTES = 1 << 20


class BackupError(StackError):
    """A backup that cannot be made or used; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """salt: of the keys, in hexadecimal. files: name -> SHA-256. content: part -> what it holds,
    in the part's own counts. createdAt: until when all data are in here, UTC."""

    format: int
    stack: str
    createdAt: str  # noqa: N815 - a key of the file
    salt: str
    files: Mapping[str, str]
    content: Mapping[str, Any]

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.createdAt)

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends without an exception."""
    if target.exists():
        raise BackupError(f"{target}: exists: give the name of a new folder")
    draft = target.with_name(f".{target.name}.part")
    if draft.exists():  # of a backup that was interrupted
        shutil.rmtree(draft)
    draft.mkdir(parents=True, mode=0o700)
    try:
        yield draft
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft)
        raise


def write_manifest(
    folder: Path, stack: str, created_at: datetime, keys: Keys, content: Mapping[str, Any]
) -> Manifest:
    """Of the files in `folder`, as the last one."""
    manifest = Manifest(
        format=FORMAT,
        stack=stack,
        createdAt=created_at.isoformat(timespec="seconds"),
        salt=keys.salt.hex(),
        files={path.name: _digest(path) for path in sorted(folder.iterdir())},
        content=content,
    )
    signed = {
        "manifest": json.loads(manifest.text()),
        "signature": keys.signature(manifest.text()),
    }
    (folder / MANIFEST).write_text(json.dumps(signed, indent=2) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """After checking every file against it. Raises BackupError."""
    signed = _signed(folder)
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    known = {field.name for field in fields(Manifest)}
    body = signed["manifest"]
    if body.get("format") != FORMAT or set(body) != known:
        raise BackupError(
            f"{folder / MANIFEST}: format {body.get('format')!r}: expected {FORMAT}: use the "
            "release that made it"
        )
    manifest = Manifest(**body)
    for name, digest in manifest.files.items():
        if name not in found:
            raise BackupError(f"{folder / name}: is missing: the backup is not complete")
        if _digest(folder / name) != digest:
            raise BackupError(f"{folder / name}: is damaged: it is not what was written")
    if extra := sorted(found - set(manifest.files)):
        raise BackupError(f"{folder / extra[0]}: does not belong to the backup")
    return manifest


def verify(folder: Path, manifest: Manifest, seed: str) -> Keys:
    """The keys of a backup that is the seed's and can be opened whole. Raises BackupError."""
    keys = Keys(seed=seed, salt=bytes.fromhex(manifest.salt))
    if not hmac.compare_digest(_signed(folder)["signature"], keys.signature(manifest.text())):
        raise BackupError(
            f"{folder / MANIFEST}: was changed, or its stack has another seed than this one"
        )
    for name in manifest.files:
        if name.endswith(SEALED):
            try:
                with unsealing(folder / name, keys) as source:
                    while source.read(READ_BYTES):
                        pass
            except SealError as fault:
                raise BackupError(f"{folder}: {fault}") from None
    return keys


def _signed(folder: Path) -> dict[str, Any]:
    try:
        signed = json.loads((folder / MANIFEST).read_text())
        if isinstance(signed["manifest"], dict) and isinstance(signed["signature"], str):
            return dict(signed)
    except FileNotFoundError:
        raise BackupError(
            f"{folder}: has no {MANIFEST}: expected the folder of a backup"
        ) from None
    except (ValueError, KeyError, TypeError):
        pass
    raise BackupError(f"{folder / MANIFEST}: is damaged: it is not what was written")


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
