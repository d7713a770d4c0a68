"""The catalog of the embedded Dremio: tables, views, reflections and users, in one SQLite file.

Without it the files of silver and gold would be in the way of the tables that they are.
"""

import os
import sqlite3
from pathlib import Path

from dynamic_providers.local.account import Account
from operations.archive import SEALED
from operations.sealed import Keys, sealing, unsealing

FILE = f"catalog{SEALED}"
DATABASE = "state.sqlite"  # in the data folder of the service


def save(data: Path, folder: Path, keys: Keys) -> dict[str, int]:
    """What it holds: kind of document -> number. The engine may run."""
    live = sqlite3.connect(f"file:{data / DATABASE}?mode=ro", uri=True)
    copy = sqlite3.connect(":memory:")  # on no disk: sources hold credentials
    try:
        live.backup(copy)
        counts = copy.execute("SELECT kind, count(*) FROM document GROUP BY kind").fetchall()
        with sealing(folder / FILE, keys) as sealed:
            sealed.write(copy.serialize())
    finally:
        live.close()
        copy.close()
    return {str(kind): int(number) for kind, number in counts}


def place(folder: Path, keys: Keys, data: Path, account: Account) -> None:
    """For an engine that has not started."""
    target = data / DATABASE
    draft = target.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with (
        open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
        unsealing(folder / FILE, keys) as source,
    ):
        out.write(source.read())
    if account.popen():
        os.chown(draft, account.uid, account.gid)
    draft.rename(target)
