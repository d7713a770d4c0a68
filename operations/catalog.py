"""Dremio's catalog: tables, views, reflections and users, as the files that it keeps them in.

Without it the files of silver and gold would be in the way of the tables that they are. Saved as
they are at one moment, which both engines recover from as after a crash.
"""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from operations.archive import SEALED
from operations.sealed import Keys, sealing, unsealing
from tools.data import Data

SERVICE = "dremio"
FILE = f"catalog{SEALED}"
# In its data: of the embedded engine one SQLite file with its logs, of the product a folder.
NAMES = ("state.sqlite", "state.sqlite-journal", "state.sqlite-wal", "db")


def save(data: Data, folder: Path, keys: Keys) -> dict[str, int]:
    """What it holds: files and bytes. The engine may run."""
    with (
        sealing(folder / FILE, keys) as sealed,
        tarfile.open(fileobj=cast(BinaryIO, sealed), mode="w|", format=tarfile.PAX_FORMAT) as out,
    ):
        data.save(NAMES, out)
        files = [member for member in out.getmembers() if member.isreg()]
    return {"files": len(files), "bytes": sum(member.size for member in files)}


@contextmanager
def saved(folder: Path, keys: Keys) -> Iterator[BinaryIO]:
    """A tar archive of the files."""
    with unsealing(folder / FILE, keys) as sealed:
        yield cast(BinaryIO, sealed)
