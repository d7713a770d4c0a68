"""`python -m embedded.airbyte --config <file.json>`: the control plane until SIGTERM."""

import argparse
import logging
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import psycopg_pool
import uvicorn
from starlette.applications import Starlette

from embedded.airbyte import json_log, settings
from embedded.airbyte.api import app
from embedded.airbyte.api.call import Plane
from embedded.airbyte.api.definitions import from_row
from embedded.airbyte.api.tokens import Tokens
from embedded.airbyte.calls import Connectors
from embedded.airbyte.jobs.runner import Runner
from embedded.airbyte.settings import Settings
from embedded.airbyte.store import database, definitions, workspaces
from embedded.airbyte.sync_logs import SyncLogs
from tls.contexts import context_factory

LOGS_DRAIN_S = 3.0
REQUESTS_DRAIN_S = 5

_log = logging.getLogger("embedded.airbyte")


class StartError(Exception):
    """The control plane cannot start; the text says what to do."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m embedded.airbyte")
    parser.add_argument("--config", type=Path, required=True)
    args = parser.parse_args(argv)
    json_log.configure()
    try:
        serve(settings.load(args.config))
    except (settings.SettingsError, StartError) as fault:
        _log.error("%s", fault)
        return 1
    return 0


def serve(config: Settings) -> None:
    """Raises StartError."""
    _clean(config.work_dir)
    try:
        pool = database.open_pool(config.database)
    except (psycopg.Error, psycopg_pool.PoolTimeout) as fault:
        at = f"{config.database.host}:{config.database.port}/{config.database.dbname}"
        raise StartError(f"database {at}: {fault}") from None
    with pool, pool.connection() as holder:
        holder.autocommit = True
        if not database.lock_instance(holder):
            raise StartError(f"database {config.database.dbname}: another control plane uses it")
        with pool.connection() as db:
            database.migrate(db)
            workspaces.ensure_default(db)
        _serve_api(config, pool)


def _serve_api(config: Settings, pool: database.Pool) -> None:
    logs = SyncLogs(config.elasticsearch)
    connectors = Connectors(config.connectors, config.work_dir)
    with pool.connection() as db:
        for row in definitions.images(db):
            connectors.add(from_row(row))
    runner = Runner(pool, connectors, config.engine, config.work_dir, logs)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        runner.start()
        yield
        runner.stop()
        logs.close(LOGS_DRAIN_S)

    # uvicorn ends on these, then raises them again; unhandled, that would skip our own end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    plane = Plane(
        pool=pool,
        connectors=connectors,
        runner=runner,
        tokens=Tokens(config.client_id, config.client_secret),
        auth_enabled=config.auth_enabled,
    )
    application = app.build(plane)
    application.router.lifespan_context = lifespan
    uvicorn.run(
        application,
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=REQUESTS_DRAIN_S,
        ssl_context_factory=context_factory(config.tls),
    )


def _clean(work_dir: Path) -> None:
    """Makes the folder, and removes what a killed process left: those files hold secrets."""
    work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in work_dir.glob("sync-*"):
        shutil.rmtree(left, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
