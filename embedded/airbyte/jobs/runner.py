"""The queue of jobs: workers, retries, cancellation, recovery after a stop.

Airbyte retries up to 5 consecutive attempts without data, 10 in all, 20 with data; the
specification says 3 retries, which is the default here. Waits between attempts are Airbyte's.
"""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool

from embedded.airbyte import cron
from embedded.airbyte.calls import ConnectorFailure, Connectors
from embedded.airbyte.jobs import plan, state
from embedded.airbyte.jobs.accounting import Accounting
from embedded.airbyte.jobs.attempt import PLATFORM, SOURCE, Attempt
from embedded.airbyte.settings import Engine
from embedded.airbyte.store import actors, connections, jobs
from embedded.airbyte.store.database import Pool
from embedded.airbyte.sync_logs import SyncLogs

IDLE_S = 30.0  # a worker looks again at least this often
STOP_S = 15.0
DATABASE_WAIT_S = 2.0  # after a failure of the control plane's own database
SERVICE = "airbyte-platform"
INTERRUPTED = "The control plane was stopped"

_log = logging.getLogger(__name__)


class Runner:
    """Runs jobs until `stop`."""

    def __init__(
        self, pool: Pool, connectors: Connectors, engine: Engine, work_dir: Path, logs: SyncLogs
    ) -> None:
        self._pool = pool
        self._connectors = connectors
        self._engine = engine
        self._work_dir = work_dir
        self._logs = logs
        self._wake = threading.Condition()
        self._submitted = 0
        self._stopping = threading.Event()
        self._running: dict[int, JobRun] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Takes up the jobs that an earlier process left, then works."""
        with self._pool.connection() as db:
            for left in jobs.interrupted(db):
                failure = _summary([_interruption()], left["records_committed"] > 0)
                jobs.end_attempt(db, left["job_id"], left["number"], "failed", failure)
                jobs.retry_later(db, left["job_id"], 0.0, left["idle_attempts"])
        targets = [self._work] * self._engine.workers + [self._schedule]
        self._threads = [threading.Thread(target=t, name=t.__name__.strip("_")) for t in targets]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends running attempts; the next process retries their jobs."""
        self._stopping.set()
        self._notify()
        for run in list(self._running.values()):
            run.interrupt()
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def submit(self, connection_id: UUID, job_type: str) -> int:
        """Id of the new job. Raises jobs.AlreadyRunning."""
        with self._pool.connection() as db:
            job_id = jobs.create(db, connection_id, job_type)
        self._notify()
        return job_id

    def cancel(self, job_id: int) -> bool:
        """False when the job has ended already. Returns after its processes are gone."""
        with self._pool.connection() as db:
            if not jobs.set_status(db, job_id, "cancelled"):
                return False
        run = self._running.get(job_id)
        if run is not None:
            run.cancel()
            run.done.wait(STOP_S)
        return True

    def _notify(self) -> None:
        with self._wake:
            self._submitted += 1
            self._wake.notify_all()

    def _work(self) -> None:
        while not self._stopping.is_set():
            seen = self._submitted
            try:
                worked = self._run_next()
                wait_s = 0.0 if worked else self._idle_s()
            except (psycopg.Error, psycopg_pool.PoolTimeout) as fault:
                _log.error("jobs: %s: %s", type(fault).__name__, fault)
                wait_s = DATABASE_WAIT_S
            with self._wake:
                self._wake.wait_for(
                    lambda seen=seen: self._submitted != seen or self._stopping.is_set(),  # type: ignore[misc]
                    wait_s,
                )

    def _idle_s(self) -> float:
        with self._pool.connection() as db:
            due = jobs.seconds_to_next(db)
        return IDLE_S if due is None else min(due, IDLE_S)

    def _run_next(self) -> bool:
        with self._pool.connection() as db:
            job = jobs.take(db)
        if job is None:
            return False
        run = JobRun(job, self._pool, self._connectors, self._engine, self._work_dir, self._logs)
        self._running[job["id"]] = run
        try:
            if self._stopping.is_set():
                run.interrupt()
            run.run()
        finally:
            del self._running[job["id"]]
            run.done.set()
        self._notify()
        return True

    def _schedule(self) -> None:
        """Starts syncs of connections with a cron schedule. A sync that still runs is not
        started twice; times that pass while the control plane is down are not made up."""
        checked = datetime.now(UTC).replace(microsecond=0)
        while not self._stopping.wait(1.0):
            now = datetime.now(UTC).replace(microsecond=0)
            seconds = min(int((now - checked).total_seconds()), 60)
            moments = [now - timedelta(seconds=back) for back in range(seconds)]
            checked = max(now, checked)
            try:
                with self._pool.connection() as db:
                    due = [
                        row["id"]
                        for row in connections.scheduled(db)
                        if any(map(cron.parse(row["cron_expression"]).matches, moments))
                    ]
                for connection_id in due:
                    self._submit_scheduled(connection_id)
            except (psycopg.Error, psycopg_pool.PoolTimeout) as fault:
                _log.error("schedule: %s: %s", type(fault).__name__, fault)

    def _submit_scheduled(self, connection_id: UUID) -> None:
        try:
            self.submit(connection_id, "sync")
        except jobs.AlreadyRunning:
            _log.info("connection %s: still running, this time is skipped", connection_id)


class JobRun:
    """One attempt of a job, from the plan to the job's next status."""

    def __init__(
        self,
        job: Mapping[str, Any],
        pool: Pool,
        connectors: Connectors,
        engine: Engine,
        work_dir: Path,
        logs: SyncLogs,
    ) -> None:
        self._job = job
        self._id: int = job["id"]
        self._pool = pool
        self._connectors = connectors
        self._engine = engine
        self._work_dir = work_dir
        self._logs = logs
        self._state: state.State | None = None
        self._attempt: Attempt | None = None
        self._ending: tuple[str, str, str] | None = None
        self._lock = threading.Lock()
        self._accounting = Accounting()
        self.done = threading.Event()

    def cancel(self) -> None:
        self._end(PLATFORM, "The sync was cancelled", "manual_cancellation")

    def interrupt(self) -> None:
        self._end(PLATFORM, INTERRUPTED, "transient_error")

    def _end(self, origin: str, message: str, failure_type: str) -> None:
        with self._lock:
            self._ending = (origin, message, failure_type)
            attempt = self._attempt
        if attempt is not None:
            attempt.stop(origin, message, failure_type)

    def run(self) -> None:
        self.log("INFO", SERVICE, f"{self._job['job_type']} started, attempt {self._number + 1}")
        try:
            failures = self._run_attempt()
        except (plan.PlanError, ConnectorFailure) as fault:
            failures = [_failure(PLATFORM, str(fault), "config_error")]
        except Exception as fault:  # the boundary of the worker: the job must end
            _log.exception("job %s", self._id)
            text = f"{type(fault).__name__}: {fault}"
            failures = [_failure(PLATFORM, text, "system_error")]
        self._conclude(failures)

    @property
    def _number(self) -> int:
        return int(self._job["number"])

    def _run_attempt(self) -> list[dict[str, Any]]:
        with self._pool.connection() as db:
            job = jobs.get(db, self._id)
            if job is None or job["status"] != "running":  # cancelled before it was here
                return [_failure(PLATFORM, "The sync was cancelled", "manual_cancellation")]
            made = plan.prepare(db, self._job, self._connectors, self._engine.timeout_s)
            self._state = connections.state(db, self._job["connection_id"])
        attempt = Attempt(made, self._work_dir, self)
        self._accounting = attempt.accounting
        with self._lock:
            self._attempt = attempt
            ending = self._ending
        if ending is not None:
            attempt.stop(*ending)
        attempt.run()
        return attempt.failures

    def _conclude(self, failures: list[dict[str, Any]]) -> None:
        totals = self._accounting.totals()
        committed = totals["records_committed"] > 0
        for failure in failures:
            self.log("ERROR", _service_of(failure), failure["externalMessage"])
        with self._pool.connection() as db:
            jobs.progress(db, self._id, self._number, totals, self._accounting.stream_stats())
            summary = _summary(failures, committed) if failures else None
            status = "failed" if failures else "succeeded"
            jobs.end_attempt(db, self._id, self._number, status, summary)
            if not failures:
                jobs.set_status(db, self._id, "succeeded")
            elif self._may_retry(failures):
                idle = 0 if committed else int(self._job["idle_attempts"]) + 1
                jobs.retry_later(db, self._id, self._wait_s(failures, idle), idle)
            else:
                jobs.set_status(db, self._id, "failed")
            job = jobs.get(db, self._id)
        ended = job["status"] if job else status
        text = f"{self._job['job_type']} attempt {self._number + 1} {status}, job {ended}"
        self.log("ERROR" if ended == "failed" else "INFO", SERVICE, text)

    def _may_retry(self, failures: list[dict[str, Any]]) -> bool:
        if any(_is_interruption(failure) for failure in failures):
            return True
        last = self._number + 1 >= self._engine.max_attempts
        return not last and all(failure["retryable"] for failure in failures)

    def _wait_s(self, failures: list[dict[str, Any]], idle: int) -> float:
        if any(_is_interruption(failure) for failure in failures):
            return 0.0
        waits = self._engine.backoff_s
        return waits[min(max(idle, 1), len(waits)) - 1]

    # Observer of the attempt

    def states(self, payloads: list[Mapping[str, Any]], accounting: Accounting) -> None:
        merged = self._state
        for payload in payloads:
            merged = state.merged(merged, payload)
        with self._pool.connection() as db:
            if merged is not None:
                connections.save_state(db, self._job["connection_id"], merged)
            self._save_progress(db, accounting)
        self._state = merged

    def progress(self, accounting: Accounting) -> None:
        with self._pool.connection() as db:
            self._save_progress(db, accounting)

    def _save_progress(self, db: Any, accounting: Accounting) -> None:
        jobs.progress(db, self._id, self._number, accounting.totals(), accounting.stream_stats())

    def log(self, level: str, service: str, message: str) -> None:
        totals = self._accounting.totals()
        connection_id = str(self._job["connection_id"])
        self._logs.add(level, service, message, self._id, connection_id, totals)
        number = getattr(logging, level, logging.INFO)
        _log.log(number, "job %s %s: %s", self._id, service, message)

    def new_config(self, origin: str, config: Mapping[str, Any]) -> None:
        with self._pool.connection() as db:
            connection = connections.get(db, self._job["connection_id"])
            if connection is None:
                return
            kind = "source" if origin == SOURCE else "destination"
            actor = actors.get(db, kind, connection[f"{kind}_id"])
            if actor is not None:
                actors.update(db, actor["id"], actor["name"], config)


def _failure(origin: str, message: str, failure_type: str) -> dict[str, Any]:
    return {
        "failureOrigin": origin,
        "failureType": failure_type,
        "externalMessage": message,
        "internalMessage": message,
        "stacktrace": "",
        "retryable": failure_type != "config_error",
        "timestamp": int(time.time() * 1000),
    }


def _interruption() -> dict[str, Any]:
    return _failure(PLATFORM, INTERRUPTED, "transient_error")


def _is_interruption(failure: Mapping[str, Any]) -> bool:
    return bool(failure["externalMessage"] == INTERRUPTED)


def _service_of(failure: Mapping[str, Any]) -> str:
    origin = str(failure["failureOrigin"])
    return SERVICE if origin == PLATFORM else f"airbyte-{origin}"


def _summary(failures: list[dict[str, Any]], partial: bool) -> dict[str, Any]:
    return {"failures": failures, "partialSuccess": partial}
