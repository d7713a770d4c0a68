"""Makes a backup of a stack: while it runs, between two runs of its pipeline."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operations import catalog, clients, lake, postgres, search
from operations.archive import SETTINGS, STATE, BackupError, Manifest, new_folder, write_manifest
from operations.sealed import SALT_BYTES, Keys
from pipeline.history import History, RunInProgress
from tools.running import running
from tools.stack import Stack

WAIT_FOR_RUN_S = 600.0  # for a run of the pipeline to end


def back_up(stack: Stack, target: Path) -> Manifest:
    """Makes the folder `target`. Raises BackupError, StackError."""
    dremio = running(stack).data(catalog.SERVICE)  # refused where the platform backs up itself
    keys = Keys(seed=stack.seed(), salt=secrets.token_bytes(SALT_BYTES))
    with new_folder(target) as folder, quiet(stack, "backup"):
        created_at = datetime.now(UTC)
        # First PostgreSQL, which says what has been read; then what was read.
        content: dict[str, Any] = {}
        content["postgres"] = postgres.save(clients.postgres(stack), folder, keys)
        content["catalog"] = catalog.save(dremio, folder, keys)
        content["lake"] = lake.save(clients.store(stack), folder, keys)
        with clients.search(stack) as api:
            content["search"] = search.save(api, folder, keys)
        (folder / STATE).write_text(stack.answer("stack", "export"))
        (folder / SETTINGS).write_text(stack.config_file.read_text())
        return write_manifest(folder, stack.name, created_at, keys, content)


@contextmanager
def quiet(stack: Stack, purpose: str) -> Iterator[None]:
    """No run of the pipeline while the block runs: a sync in between would put the state of a
    connection ahead of the files that it stands for, or behind them. purpose: told to a run that
    waits. Raises BackupError when a run takes too long."""
    try:
        with (
            History(clients.pipeline(stack), purpose) as history,
            history.lock(stack.name, WAIT_FOR_RUN_S),
        ):
            yield
    except RunInProgress as fault:
        raise BackupError(f"{fault}: try again when it is over") from None
