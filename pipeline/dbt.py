"""One `dbt build`: models in the order of their dependencies, each gated by its tests.

It is the specification's sequence of runs and tests (staging, intermediate, marts) in one
invocation: a model whose inputs failed a test is skipped.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from pipeline.config import DbtConfig, DremioConfig, secret
from pipeline.progress import Step

# Specification, "Performance Benchmarks": dbt, large dataset, 2 hours. A limit is needed at all
# because dbt-dremio 1.11 waits forever for a canceled job: it looks for CANCELLED, and Dremio
# says CANCELED.
TIMEOUT_S = 7200.0
STOP_S = 15.0  # for dbt to cancel its queries before it is killed
TRUST = ("REQUESTS_CA_BUNDLE",)  # of the caller's environment: whom dbt's HTTP client believes
FAILED = frozenset({"error", "fail", "runtime error"})


@dataclass(frozen=True, kw_only=True)
class Node:
    """A model or test that dbt ran, or skipped. failures: rows that a test found."""

    name: str
    kind: str
    status: str
    seconds: float
    failures: int | None
    message: str


@dataclass(frozen=True, kw_only=True)
class DbtRun:
    """Times are UTC. fault: why dbt ended without results, else ""."""

    id: UUID
    project: str
    started_at: datetime
    completed_at: datetime
    nodes: tuple[Node, ...]
    fault: str = ""

    @property
    def failed(self) -> list[Node]:
        return [node for node in self.nodes if node.status in FAILED]

    @property
    def status(self) -> str:
        return "failed" if self.fault or self.failed else "success"

    def count(self, kind: str) -> int:
        return sum(node.kind == kind and node.status != "skipped" for node in self.nodes)


@dataclass
class _Output:
    """What dbt said while it ran."""

    errors: list[str] = field(default_factory=list)
    timed_out: bool = False


def build(config: DbtConfig, dremio: DremioConfig, step: Step) -> DbtRun:
    """Runs dbt and returns how it went; a failure is in the result, not raised."""
    target = config.work_dir / "target"
    target.mkdir(parents=True, exist_ok=True)
    results = target / "run_results.json"
    results.unlink(missing_ok=True)  # those of an earlier run must not pass for this one's
    started = datetime.now(UTC)
    output = _run(_command(config), _environment(config, dremio, started), step)
    run = _read(results, started)
    if output.timed_out:
        fault = f"dbt did not end within {TIMEOUT_S:g} s"
    elif run is None:
        fault = "; ".join(output.errors) or "dbt ended without results"
    elif not run.nodes:
        fault = "dbt found nothing to build"
    else:
        return run
    return DbtRun(
        id=run.id if run else uuid4(),
        project=config.project_dir.name,
        started_at=started,
        completed_at=datetime.now(UTC),
        nodes=run.nodes if run else (),
        fault=fault,
    )


def _command(config: DbtConfig) -> list[str]:
    # Options before the subcommand are dbt's global ones.
    return [
        str(config.executable),
        "--log-format=json",
        "--log-level=info",
        "--no-use-colors",
        "build",
        f"--project-dir={config.project_dir}",
        f"--profiles-dir={config.project_dir}",
    ]


def _environment(config: DbtConfig, dremio: DremioConfig, now: datetime) -> dict[str, str]:
    """The whole environment: nothing else of the caller's can change a build."""
    url = urlsplit(dremio.url)
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(config.work_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        # The project may be read-only for us.
        "DBT_TARGET_PATH": str(config.work_dir / "target"),
        "DBT_LOG_PATH": str(config.work_dir / "logs"),
        "DATAFLOW_DBT_SOURCES": str(config.sources_dir),
        "DATAFLOW_SNAPSHOT": now.date().isoformat(),
        "DREMIO_HOST": url.hostname or "",
        "DREMIO_PORT": str(url.port or (443 if url.scheme == "https" else 80)),
        "DREMIO_USE_SSL": str(url.scheme == "https"),
        "DREMIO_USER": dremio.username,
        "DBT_ENV_SECRET_DREMIO_PASSWORD": secret(dremio.password_file),
        # dbt-dremio can only be told whether to verify, not by whom.
        **{name: os.environ[name] for name in TRUST if name in os.environ},
    }


def _run(command: list[str], environment: Mapping[str, str], step: Step) -> _Output:
    output = _Output()
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as fault:
        output.errors.append(f"{command[0]}: {fault.strerror}")
        return output

    def time_out() -> None:
        output.timed_out = True
        _stop(process)

    timer = Timer(TIMEOUT_S, time_out)
    timer.start()
    try:
        for line in process.stdout or ():
            _tell(line, output, step)
        process.wait()
    finally:  # also when the run is interrupted
        timer.cancel()
        _stop(process)
    return output


def _stop(process: subprocess.Popen[str]) -> None:
    """Lets dbt cancel its queries, then ends it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell(line: str, output: _Output, step: Step) -> None:
    """Shows what became of models and failed tests; keeps errors."""
    try:
        event = json.loads(line)
        info, data = event["info"], event["data"]
    except (ValueError, KeyError, TypeError):  # not dbt's: an interpreter that cannot start
        output.errors.append(line.strip())
        return
    node = data.get("node_info") or {}
    if info["name"] == "LogModelResult":
        status = "ok" if node["node_status"] == "success" else node["node_status"]
        step.tell(f"{node['node_name']}: {status} ({data['execution_time']:.1f} s)")
    elif info["name"] == "LogTestResult" and data["status"] not in ("pass", "skipped"):
        rows = f", {data['num_failures']:,} rows" if data.get("num_failures") else ""
        step.tell(f"test {node['node_name']}: {data['status']}{rows}")
    elif info["level"] == "error":
        output.errors.append(" ".join(info["msg"].split()))


def _read(path: Path, started: datetime) -> DbtRun | None:
    """dbt's account of a run; None when it did not come that far.

    https://docs.getdbt.com/reference/artifacts/run-results-json
    """
    try:
        account = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    nodes = tuple(_nodes(account))
    return DbtRun(
        id=UUID(account["metadata"]["invocation_id"]),
        project=account["results"][0]["unique_id"].split(".")[1] if nodes else "",
        started_at=started,
        completed_at=datetime.fromisoformat(account["metadata"]["generated_at"]),
        nodes=nodes,
    )


def _nodes(account: Mapping[str, Any]) -> Iterator[Node]:
    for result in account["results"]:
        kind, _project, name, *_hash = result["unique_id"].split(".")
        yield Node(
            name=name,
            kind=kind,
            status=result["status"],
            seconds=result["execution_time"],
            failures=result["failures"],
            message=" ".join((result["message"] or "").split()),
        )
