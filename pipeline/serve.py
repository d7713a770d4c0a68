"""The pipeline as a service: runs by schedule, /metrics for Prometheus, of products that have
none of their own too (/metrics/SERVICE), and /health. It keeps the audit log, too.

Each run is a process of its own (`pipeline run`), so that it cannot take the service down and
leaves nothing behind; its records in PostgreSQL feed the metrics, whoever started it.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.audit import AuditLog
from pipeline.certificates import CertificateMetrics
from pipeline.config import Config
from pipeline.exporters import FAULTS, Busy, exporters
from pipeline.history import History
from pipeline.schedule import longest_interval, next_time
from tls.contexts import context_factory

LONGEST_WAIT_S = 60.0  # the clock may be set: the time to the next run is measured anew
STOP_S = 30.0

ROOT = Path(__file__).resolve().parents[1]


class Scheduler:
    """Starts a run at each time of the schedule; a time that passes during a run is left out."""

    def __init__(self, schedule: str | None, command: list[str]) -> None:
        self._schedule = schedule
        self._command = command
        self._stopping = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self.next_run: datetime | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when a run in progress has ended."""
        self._stopping.set()
        self._thread.join()

    @property
    def healthy(self) -> bool:
        return self._thread.is_alive()

    def _work(self) -> None:
        if self._schedule is None:
            self._stopping.wait()
            return
        while not self._stopping.is_set():
            self.next_run = next_time(self._schedule, datetime.now(UTC))
            while (rest := (self.next_run - datetime.now(UTC)).total_seconds()) > 0:
                if self._stopping.wait(min(rest, LONGEST_WAIT_S)):
                    return
            self._run()

    def _run(self) -> None:
        # The project's folder, from which `-m` finds the module; a service's own is elsewhere.
        process = subprocess.Popen(  # noqa: S603
            self._command, stdin=subprocess.DEVNULL, cwd=ROOT
        )
        while process.poll() is None:
            if self._stopping.wait(0.5):
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class RunMetrics(Collector):
    """The newest records as gauges. `dbt_model_execution_time` is the specification's name."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with History(self._config.database.login(), "pipeline metrics") as history:
            history.create_tables()
            last_dbt = history.last_dbt_run()
            yield _model_times(last_dbt)
            if last_dbt:
                yield GaugeMetricFamily(
                    "dbt_last_run_success",
                    "1 if every model and test of the newest dbt run succeeded, else 0",
                    value=float(last_dbt["status"] == "success"),
                )
            if self._config.schedule:
                yield GaugeMetricFamily(
                    "pipeline_schedule_interval_seconds",
                    "Longest time that the schedule leaves between two runs",
                    value=longest_interval(self._config.schedule, datetime.now(UTC)),
                )
            yield from _run_gauges(
                history.last_run(self._config.stack),
                history.last_run(self._config.stack, "success"),
            )


def _model_times(run: dict[str, Any] | None) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "dbt_model_execution_time",
        "Seconds that a model took in the newest dbt run",
        labels=("model", "status"),
    )
    for node in run["metadata"]["nodes"] if run else ():
        if node["kind"] == "model":
            gauge.add_metric((node["name"], node["status"]), node["seconds"])
    return gauge


def _run_gauges(
    last: dict[str, Any] | None, last_success: dict[str, Any] | None
) -> Iterator[GaugeMetricFamily]:
    if last_success:
        yield GaugeMetricFamily(
            "pipeline_last_success_timestamp_seconds",
            "When the newest successful run ended",
            value=last_success["completed_at"].replace(tzinfo=UTC).timestamp(),
        )
    if last:
        yield GaugeMetricFamily(
            "pipeline_last_run_success",
            "1 if the newest run succeeded, else 0",
            value=float(last["status"] == "success"),
        )
        steps = GaugeMetricFamily(
            "pipeline_step_duration_seconds",
            "Duration of each step of the newest run",
            labels=("step",),
        )
        for step in last["steps"]:
            steps.add_metric((step["step"],), step["seconds"])
        yield steps


def application(config: Config, scheduler: Scheduler, audit_log: AuditLog) -> Starlette:
    registry = CollectorRegistry()
    metrics_collector = RunMetrics(config)
    # auto_describe is off: registering must not need the database.
    registry.register(metrics_collector)
    registry.register(CertificateMetrics(config.certificates))
    registry.register(audit_log)

    products = exporters(config)

    def metrics(_: Request) -> Response:
        try:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        except psycopg.Error as fault:
            return PlainTextResponse(f"no database: {type(fault).__name__}", status_code=503)

    def product_metrics(request: Request) -> Response:
        service = request.path_params["service"]
        if service not in products:
            return PlainTextResponse(f"{service}: unknown", status_code=404)
        try:
            return Response(products[service].text(), media_type=CONTENT_TYPE_LATEST)
        except (*FAULTS, Busy) as fault:
            text = f"{service} does not answer: {type(fault).__name__}"
            return PlainTextResponse(text, status_code=503)

    def health(_: Request) -> Response:
        next_run = scheduler.next_run.isoformat() if scheduler.next_run else None
        body = {"status": "ok" if scheduler.healthy else "no scheduler", "nextRun": next_run}
        return JSONResponse(body, status_code=200 if scheduler.healthy else 503)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/metrics/{service}", product_metrics),
            Route("/health", health),
        ]
    )


def serve(config: Config, path: Path) -> None:
    """Until SIGTERM or SIGINT. path: the file that `config` was read from."""
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(path)]
    scheduler = Scheduler(config.schedule, command)
    audit_log = AuditLog(config)
    scheduler.start()
    audit_log.start()
    try:
        uvicorn.run(
            application(config, scheduler, audit_log),
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            ssl_context_factory=context_factory(config.tls),
        )
    finally:
        audit_log.stop()
        scheduler.stop()
