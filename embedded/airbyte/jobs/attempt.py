"""One attempt of a job: source and destination as children, the platform between them."""

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from embedded.airbyte import masking, protocol
from embedded.airbyte.jobs import process
from embedded.airbyte.jobs.accounting import Accounting
from embedded.airbyte.jobs.gate import Gate, Route
from embedded.airbyte.protocol import Message, StreamKey

PIPE_BYTES = 1 << 20
PROGRESS_S = 2.0
LOG_LINE_CHARACTERS = 8_000

SOURCE = "source"
DESTINATION = "destination"
PLATFORM = "airbyte_platform"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One connector of the attempt. service: its name in the logs."""

    service: str
    command: tuple[str, ...]
    config: Mapping[str, Any] = field(repr=False)
    catalog: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """source None: nothing is read, the destination only drops older generations."""

    source: Side | None
    destination: Side
    state: list[dict[str, Any]]
    routes: Mapping[StreamKey, Route]
    secrets: tuple[str, ...] = field(repr=False)
    timeout_s: float


class Observer(Protocol):
    """Called from several threads."""

    def states(self, payloads: list[Mapping[str, Any]], accounting: Accounting) -> None:
        """Confirmed states, in order: to be persisted before the call returns."""

    def progress(self, accounting: Accounting) -> None: ...

    def log(self, level: str, service: str, message: str) -> None: ...

    def new_config(self, origin: str, config: Mapping[str, Any]) -> None:
        """A connector replaced its configuration, such as a rotated token."""


class Attempt:
    """Runs a plan once; `failures` is empty after success.

    failures: as in the Config API's failureSummary.
    """

    def __init__(self, plan: Plan, work_dir: Path, observer: Observer) -> None:
        self._plan = plan
        self._work_dir = work_dir
        self._observer = observer
        self.accounting = Accounting.of(plan.routes)
        self.failures: list[dict[str, Any]] = []
        self._gate = Gate(plan.routes, self.accounting, self._source_message)
        self._children: list[subprocess.Popen[bytes]] = []
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._progress_at = time.monotonic()

    def run(self) -> None:
        timer = threading.Timer(self._plan.timeout_s, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            with process.folder(self._work_dir) as directory:
                self._run_in(directory)
        except OSError as fault:
            self._fail(PLATFORM, f"{fault.filename or 'connector'}: {fault.strerror}")
        finally:
            timer.cancel()
            self._end_children()
        if not self.failures:
            try:
                self.accounting.finish()
            except protocol.ProtocolError as fault:
                self._fail(DESTINATION, str(fault))

    def stop(self, origin: str, message: str, failure_type: str) -> None:
        """Ends the children; `run` returns soon after."""
        self._fail(origin, message, failure_type=failure_type)
        self._stopped.set()
        self._end_children()

    def _time_out(self) -> None:
        text = f"The attempt took longer than {self._plan.timeout_s / 60:g} minutes"
        self.stop(PLATFORM, text, "transient_error")

    def _run_in(self, directory: Path) -> None:
        plan = self._plan
        destination = self._start(
            directory,
            DESTINATION,
            plan.destination,
            ["write"],
            {"catalog": plan.destination.catalog},
        )
        source = None
        if plan.source is not None:
            files: dict[str, Any] = {"catalog": plan.source.catalog}
            if plan.state:
                files["state"] = plan.state
            source = self._start(directory, SOURCE, plan.source, ["read"], files)
        readers = [
            self._thread(self._read_destination, destination),
            self._thread(self._read_stderr, destination, plan.destination.service),
        ]
        if source is not None and plan.source is not None:
            readers.append(self._thread(self._read_stderr, source, plan.source.service))
        self._pump(source, destination)
        code = process.finish(destination)
        for reader in readers:
            reader.join()
        if code != 0 and not self.failures:
            self._fail(DESTINATION, f"The destination exited with code {code}")

    def _start(
        self, directory: Path, name: str, side: Side, verb: list[str], files: Mapping[str, Any]
    ) -> subprocess.Popen[bytes]:
        home = directory / name
        home.mkdir(mode=0o700)
        command = [*side.command, *verb]
        for option, content in {"config": side.config, **files}.items():
            path = process.write_json(home / f"{option}.json", content)
            command += [f"--{option}", str(path)]
        with self._lock:
            if self._stopped.is_set():
                raise InterruptedError(0, "stopped")
            child = process.start(command, home, feeds=name == DESTINATION)
            self._children.append(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _widen(pipe.fileno())
        return child

    def _end_children(self) -> None:
        with self._lock:
            children, self._children = self._children, []
        for child in children:
            process.end(child)

    def _thread(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        return thread

    # From the source to the destination

    def _pump(
        self, source: subprocess.Popen[bytes] | None, destination: subprocess.Popen[bytes]
    ) -> None:
        assert destination.stdin is not None  # noqa: S101  start() made the pipe
        sink = destination.stdin.fileno()
        try:
            code = self._copy(source, sink) if source is not None else 0
            if self._stopped.is_set():
                return
            if code != 0 and not self.failures:
                self._fail(SOURCE, f"The source exited with code {code}")
            _write(sink, self._gate.unfinished("INCOMPLETE" if self.failures else "COMPLETE"))
            if self._gate.incomplete and not self.failures:
                names = ", ".join(sorted(name for _, name in self._gate.incomplete))
                self._fail(SOURCE, f"The source could not finish streams: {names}")
        except BrokenPipeError:
            # Its exit code and its messages tell why.
            if source is not None:
                process.end(source)
        except protocol.ProtocolError as fault:
            self._fail(SOURCE, f"The source broke the protocol: {fault}")
            self._end_children()
        finally:
            destination.stdin.close()

    def _copy(self, source: subprocess.Popen[bytes], sink: int) -> int:
        assert source.stdout is not None  # noqa: S101  start() made the pipe
        runs = protocol.LineRuns()
        while chunk := os.read(source.stdout.fileno(), protocol.READ_BYTES):
            _write(sink, b"".join(self._gate.forward(part) for part in runs.feed(chunk)))
            if time.monotonic() - self._progress_at > PROGRESS_S:
                self._progress_at = time.monotonic()
                self._observer.progress(self.accounting)
        _write(sink, b"".join(self._gate.forward(part) for part in runs.close()))
        return process.finish(source)

    def _source_message(self, message: Message | bytes) -> None:
        service = self._plan.source.service if self._plan.source else ""
        self._any_message(SOURCE, service, message)

    # From the destination

    def _read_destination(self, destination: subprocess.Popen[bytes]) -> None:
        assert destination.stdout is not None  # noqa: S101  start() made the pipe
        rest = b""
        try:
            while chunk := os.read(destination.stdout.fileno(), protocol.READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                self._destination_lines(lines)
            self._destination_lines([rest])
        except Exception as fault:  # the boundary of the thread
            origin = DESTINATION if isinstance(fault, protocol.ProtocolError) else PLATFORM
            self.stop(origin, f"{type(fault).__name__}: {fault}", "system_error")

    def _destination_lines(self, lines: list[bytes]) -> None:
        confirmed: list[Mapping[str, Any]] = []
        try:
            for line in filter(None, lines):
                message = protocol.parse_line(line)
                if message is not None and message["type"] == "STATE":
                    confirmed.append(self.accounting.echoed(message["state"]))
                else:
                    service = self._plan.destination.service
                    self._any_message(DESTINATION, service, line if message is None else message)
        finally:
            if confirmed:
                self._observer.states(confirmed, self.accounting)

    def _read_stderr(self, child: subprocess.Popen[bytes], service: str) -> None:
        assert child.stderr is not None  # noqa: S101  start() made the pipe
        with os.fdopen(os.dup(child.stderr.fileno()), "rb") as stream:
            for line in stream:
                self._log("INFO", service, line.decode(errors="replace").rstrip())

    # Both

    def _any_message(self, origin: str, service: str, message: Message | bytes) -> None:
        if isinstance(message, bytes):
            self._log("INFO", service, message.decode(errors="replace"))
        elif message["type"] == "LOG":
            self._log(message["log"]["level"], service, message["log"]["message"])
        elif message["type"] == "TRACE" and message["trace"].get("type") == "ERROR":
            error = message["trace"]["error"]
            self._fail(
                origin,
                str(error.get("message")),
                failure_type=error.get("failure_type") or "system_error",
                internal=str(error.get("internal_message") or ""),
                stack=str(error.get("stack_trace") or ""),
            )
        elif message["type"] == "CONTROL":
            self._observer.new_config(origin, message["control"]["connectorConfig"]["config"])

    def _log(self, level: str, service: str, message: str) -> None:
        shown = masking.redact(message, self._plan.secrets)[:LOG_LINE_CHARACTERS]
        self._observer.log(level, service, shown)

    def _fail(
        self,
        origin: str,
        message: str,
        *,
        failure_type: str = "system_error",
        internal: str = "",
        stack: str = "",
    ) -> None:
        hidden = self._plan.secrets
        self.failures.append(
            {
                "failureOrigin": origin,
                "failureType": failure_type,
                "externalMessage": masking.redact(message, hidden),
                "internalMessage": masking.redact(internal or message, hidden),
                "stacktrace": masking.redact(stack, hidden),
                "retryable": failure_type not in ("config_error", "manual_cancellation"),
                "timestamp": int(time.time() * 1000),
            }
        )


def _write(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


def _widen(pipe: int) -> None:
    """Fewer switches between the processes. Refused where the user's limit is reached."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except PermissionError:
        pass
