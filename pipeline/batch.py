"""The specification's nightly batch: sync, metadata, dbt, reflections, dashboards, old logs.

Every step may be repeated, so a run that broke off is simply run again: syncs continue from
their state, models are rebuilt whole.
"""

from datetime import UTC, datetime

import psycopg

from pipeline import clients, dbt, dremio, retention, superset, sync
from pipeline.config import Config
from pipeline.history import History
from pipeline.progress import Progress, StepError

BUILD_WAIT_S = 900.0  # a deployment waits for a run in progress; a second run does not
SHOWN_FAILURES = 5


def run(config: Config, progress: Progress) -> None:
    """Everything, once. Raises StepError, RunInProgress."""
    with _history(config, "pipeline run") as history, history.lock(config.stack, wait_s=0):
        started = datetime.now(UTC)
        try:
            _steps(config, progress, history)
        except StepError as error:
            history.record_run(config.stack, started, progress.steps, error.cause)
            raise
        except BaseException as interruption:
            cause = f"interrupted: {type(interruption).__name__}"
            history.record_run(config.stack, started, progress.steps, cause)
            raise
        history.record_run(config.stack, started, progress.steps, None)


def build(config: Config, progress: Progress) -> None:
    """dbt alone. Raises StepError, RunInProgress."""
    with _history(config, "pipeline build") as history:
        with history.lock(config.stack, wait_s=BUILD_WAIT_S):
            _dbt(config, progress, history)


def _steps(config: Config, progress: Progress, history: History) -> None:
    airbyte = clients.airbyte(config.airbyte)
    engine = clients.dremio(config.dremio)
    try:
        with progress.step("sync", "Sync the sources into bronze") as step:
            sync.run(airbyte, config.airbyte.connections, step)
        with progress.step("metadata", "Refresh the metadata of bronze") as step:
            dremio.refresh_metadata(engine, config.dremio.datasets, step)
        _dbt(config, progress, history)
        with progress.step("reflections", "Refresh the reflections") as step:
            dremio.refresh_reflections(engine, config.dremio.reflection_datasets, step)
        if config.superset is not None:
            with progress.step("dashboards", "Warm the dashboards") as step:
                superset.warm(config.superset, step)
        if config.logs is not None:
            with progress.step("logs", "Delete old logs") as step:
                retention.delete_expired(config.logs, datetime.now(UTC).date(), step)
    finally:
        airbyte.close()
        engine.close()


def _dbt(config: Config, progress: Progress, history: History) -> None:
    with progress.step("dbt", "Build and test silver and gold") as step:
        result = dbt.build(config.dbt, config.dremio, step)
        history.record_dbt(result)
        log = config.dbt.work_dir / "logs" / "dbt.log"
        if result.status == "failed":
            raise StepError(
                f"dbt: {_cause(result)}",
                f"Models that depend on it were left as they were. Log: {log}. Correct the model "
                "or the data and run the pipeline again.",
            )
        step.done(f"{result.count('model')} models, {result.count('test')} tests")


def _cause(result: dbt.DbtRun) -> str:
    if result.fault:
        return result.fault
    shown = [f"{node.kind} {node.name}: {node.message}" for node in result.failed[:SHOWN_FAILURES]]
    more = len(result.failed) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _history(config: Config, purpose: str) -> History:
    try:
        return History(config.database.login(), purpose)
    except psycopg.Error as fault:
        raise StepError(
            f"database {config.database.dbname!r}: {' '.join(str(fault).split())}",
            "Is PostgreSQL running? See `make status`.",
        ) from None
