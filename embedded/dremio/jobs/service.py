"""Jobs: every statement is one, from submission to its final state and its results."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from embedded.dremio.catalog.model import dotted
from embedded.dremio.errors import EngineError, Kind, invalid, not_found
from embedded.dremio.logs import QueryLog
from embedded.dremio.metrics import Metrics
from embedded.dremio.reflections.service import Reflections
from embedded.dremio.sql.executor import Executor, Prepared
from embedded.dremio.sql.system import Row, as_json
from embedded.dremio.storage.duck import Duck
from embedded.dremio.storage.store import Store
from embedded.dremio.users import now_ms

LOG = logging.getLogger(__name__)
WORKERS = 8
KEPT_JOBS = 5_000
KEPT_RESULTS_MS = 24 * 3600 * 1000  # the product keeps job results for a day
FINAL = frozenset({"COMPLETED", "CANCELED", "FAILED"})
INTERNAL_USER = "$dremio$"


@dataclass
class Job:
    """Times: ms since 1970. columns: name and DuckDB type. relationships: see planner.Plan."""

    id: str
    sql: str
    context: list[str]
    user: str
    query_type: str
    state: str
    started: int
    ended: int | None = None
    rows: int = 0
    bytes: int = 0
    error: str = ""
    error_kind: str = ""
    cancel_reason: str = ""
    datasets: list[str] = field(default_factory=list)
    relationships: dict[str, list[str]] = field(default_factory=dict)
    columns: list[list[str]] = field(default_factory=list)

    @property
    def accelerated(self) -> bool:
        return any(level == "CHOSEN" for _, level in self.relationships.values())


class Jobs:
    def __init__(
        self,
        *,
        store: Store,
        duck: Duck,
        executor: Executor,
        reflections: Reflections,
        metrics: Metrics,
        log: QueryLog,
        results: Path,
    ) -> None:
        self._store = store
        self._duck = duck
        self._executor = executor
        self._reflections = reflections
        self._metrics = metrics
        self._log = log
        self._results = results
        results.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._jobs = {id_: Job(**body) for id_, body in store.all("job").items()}
        self._cursors: dict[str, duckdb.DuckDBPyConnection] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="job")
        for job in list(self._jobs.values()):
            if job.state not in FINAL:
                self._end(job, "FAILED", "The engine was restarted while the job ran.")
        self._prune()

    # -- running -----------------------------------------------------------------------------

    def submit(self, sql: str, context: list[str], user: str) -> str:
        """Starts a job in the background; returns its id."""
        job = self._new(sql, context, user, "REST")
        self._pool.submit(self._run_to_file, job)
        return job.id

    def stream(self, prepared: Prepared, user: str) -> Iterator[pa.RecordBatch]:
        """Runs a prepared statement; the job ends with the iterator. Raises EngineError."""
        job = self._new(prepared.sql, list(prepared.context), user, "FLIGHT")
        self._planned(job, prepared)
        return self._ending(job, prepared)

    def _ending(self, job: Job, prepared: Prepared) -> Iterator[pa.RecordBatch]:
        yield from self._rows(job, prepared)
        self._end(job, "COMPLETED")

    def refuse(self, sql: str, context: list[str], user: str, fault: EngineError) -> None:
        """Records a statement that could not be prepared."""
        self._fail(self._new(sql, context, user, "FLIGHT"), fault)

    def internal(self, sql: str, action: Callable[[str], int]) -> str:
        job = self._new(sql, [], INTERNAL_USER, "ACCELERATOR_CREATE")
        try:
            job.rows = action(job.id)
        except EngineError as fault:
            self._fail(job, fault)
            raise
        self._end(job, "COMPLETED")
        return job.id

    def _new(self, sql: str, context: list[str], user: str, query_type: str) -> Job:
        job = Job(
            id=str(uuid.uuid4()),
            sql=sql,
            context=context,
            user=user,
            query_type=query_type,
            state="RUNNING",
            started=now_ms(),
        )
        with self._lock:
            self._jobs[job.id] = job
            self._store.put("job", job.id, asdict(job))
        return job

    def _planned(self, job: Job, prepared: Prepared) -> None:
        job.columns = [list(column) for column in prepared.columns]
        if prepared.plan is not None:
            job.datasets = [dotted(entity.path) for entity in prepared.plan.datasets]
            job.relationships = {k: list(v) for k, v in prepared.plan.relationships.items()}
            self._reflections.count(prepared.plan.relationships)

    def _rows(self, job: Job, prepared: Prepared) -> Iterator[pa.RecordBatch]:
        try:
            with self._duck.cursor() as cursor:
                with self._lock:
                    if job.state == "CANCELLATION_REQUESTED":
                        raise EngineError(Kind.CANCELED, "Query cancelled")
                    self._cursors[job.id] = cursor
                try:
                    for batch in prepared.run(cursor):
                        job.rows += batch.num_rows
                        job.bytes += batch.nbytes
                        yield batch
                finally:
                    with self._lock:
                        self._cursors.pop(job.id, None)
        except EngineError as fault:
            self._fail(job, fault)
            raise
        except GeneratorExit:
            self._end(job, "CANCELED", reason="The client went away.")
            raise
        except Exception as fault:
            LOG.exception("job %s failed", job.id)
            unexpected = EngineError(Kind.SYSTEM, f"Unexpected error: {type(fault).__name__}")
            self._fail(job, unexpected)
            raise unexpected from fault

    def _run_to_file(self, job: Job) -> None:
        path = self._result_file(job.id)
        try:
            try:
                prepared = self._executor.prepare(job.sql, tuple(job.context))
            except EngineError as fault:
                self._fail(job, fault)
                return
            self._planned(job, prepared)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, prepared.schema) as out:
                for batch in self._rows(job, prepared):
                    out.write_batch(batch)
            self._end(job, "COMPLETED")  # only now can the rows be read
        except EngineError:
            path.unlink(missing_ok=True)
        except Exception:
            LOG.exception("job %s failed", job.id)
            self._fail(job, EngineError(Kind.SYSTEM, "Unexpected error"))

    def _fail(self, job: Job, fault: EngineError) -> None:
        job.error_kind = fault.kind.name
        if fault.kind is Kind.CANCELED or job.state == "CANCELLATION_REQUESTED":
            self._end(job, "CANCELED", reason=job.cancel_reason or "Query cancelled")
        else:
            self._end(job, "FAILED", fault.message)

    def _end(self, job: Job, state: str, error: str = "", reason: str = "") -> None:
        with self._lock:
            job.state, job.error, job.ended = state, error, now_ms()
            job.cancel_reason = reason or job.cancel_reason
            self._store.put("job", job.id, asdict(job))
        seconds = (job.ended - job.started) / 1000
        self._metrics.query.labels(job.query_type, state, str(job.accelerated).lower()).observe(
            seconds
        )
        self._log.write(
            {
                "queryId": job.id,
                "queryText": job.sql,
                "context": job.context,
                "start": job.started,
                "finish": job.ended,
                "outcome": state,
                "outcomeReason": job.error or job.cancel_reason,
                "username": job.user,
                "requestType": "RUN_SQL",
                "queryType": job.query_type,
                "outputRecords": job.rows,
                "accelerated": job.accelerated,
                "datasets": job.datasets,
            }
        )

    # -- asking ------------------------------------------------------------------------------

    def get(self, id_: str) -> Job:
        with self._lock:
            if job := self._jobs.get(id_):
                return job
        raise not_found(f"Could not find a job with id [{id_}]")

    def cancel(self, id_: str) -> None:
        with self._lock:
            job = self.get(id_)
            if job.state in FINAL:
                return
            job.state = "CANCELLATION_REQUESTED"
            job.cancel_reason = "Query cancelled by the user"
            cursor = self._cursors.get(id_)
        if cursor is not None:
            cursor.interrupt()

    def results(self, id_: str, offset: int, limit: int) -> pa.Table:
        """Rows offset … offset + limit. Raises EngineError unless the job has completed."""
        job = self.get(id_)
        if job.state != "COMPLETED":
            raise invalid(f"Can not fetch details for a job that is in [{job.state}] state.")
        path = self._result_file(id_)
        if not path.exists():
            raise not_found(f"The results of job [{id_}] are no longer available.")
        found: list[pa.RecordBatch] = []
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index)
                if offset < batch.num_rows and limit > 0:
                    found.append(batch.slice(offset, limit))
                    limit -= found[-1].num_rows
                offset = max(0, offset - batch.num_rows)
            table = pa.Table.from_batches(found, reader.schema)
            # A copy: the map ends with this block.
            return pa.ipc.open_stream(_stream_bytes(table)).read_all()

    def stop(self, timeout_s: float) -> None:
        """Lets running jobs end for a while, then interrupts them."""
        timer = threading.Timer(timeout_s, self._interrupt)
        timer.start()
        self._pool.shutdown(wait=True, cancel_futures=True)
        timer.cancel()
        self._interrupt()  # streams over Flight

    def _interrupt(self) -> None:
        with self._lock:
            for cursor in self._cursors.values():
                cursor.interrupt()

    def _result_file(self, id_: str) -> Path:
        return self._results / f"{id_}.arrow"

    def prune(self) -> None:
        """Forgets the oldest jobs and results."""
        with self._lock:
            self._prune()

    def _prune(self) -> None:
        done = sorted(
            (j for j in self._jobs.values() if j.state in FINAL), key=lambda j: j.started
        )
        for job in done[: max(0, len(done) - KEPT_JOBS)]:
            del self._jobs[job.id]
            self._store.delete("job", job.id)
        oldest = now_ms() - KEPT_RESULTS_MS
        for path in self._results.glob("*.arrow"):
            job_ = self._jobs.get(path.stem)
            if job_ is None or job_.started < oldest:
                path.unlink(missing_ok=True)

    def system_rows(self, _: str) -> Iterator[Row]:
        with self._lock:
            jobs = sorted(self._jobs.values(), key=lambda job: job.started, reverse=True)
        for job in jobs:
            yield {
                "job_id": job.id,
                "status": job.state,
                "query_type": job.query_type,
                "user_name": job.user,
                "queried_datasets": as_json(job.datasets),
                "scanned_datasets": as_json(job.datasets),
                "attempt_count": 1,
                "submitted_ts": job.started,
                "final_state_ts": job.ended,
                "submitted_epoch_millis": job.started,
                "final_state_epoch_millis": job.ended,
                "rows_returned": job.rows,
                "bytes_returned": job.bytes,
                "accelerated": job.accelerated,
                "queue_name": "",
                "engine": "",
                "error_msg": job.error,
                "query": job.sql,
            }


def _stream_bytes(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return sink.getvalue()
