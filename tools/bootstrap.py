"""Installs what is missing, in parallel, so that an interrupted run goes on where it stopped.

A step is done when its stamp holds its key (of its own inputs and of the steps that it needs) and
its outputs exist. `python -m tools.bootstrap [--list] [--tests]`.
"""

import argparse
import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from tools import preflight
from tools.display import Display, live_or_plain
from tools.paths import Paths
from tools.step import Interrupted, Log, Step, StepError, digest
from tools.steps import engine

PARALLEL = 4  # steps mostly wait for the network; heavy ones run one at a time
WAKE_S = 0.5  # how soon the scheduler sees Ctrl-C: waiting for a future blocks signals
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A step that failed. `tail`: the last lines of its log."""

    step: str
    reason: str
    hint: str
    tail: tuple[str, ...]
    log_file: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Names of steps, each in the order of the list that was given."""

    done: tuple[str, ...]
    up_to_date: tuple[str, ...]
    skipped: tuple[str, ...]  # because a needed step failed
    failures: tuple[Failure, ...]


def pending(paths: Paths, steps: Sequence[Step]) -> list[Step]:
    """The steps that have to run. Raises ValueError for a graph that cannot be run."""
    keys = full_keys(steps)
    return [step for step in steps if not _is_done(paths, step, keys[step.name])]


def full_keys(steps: Sequence[Step]) -> dict[str, str]:
    """Step name -> its key with those of all steps that it needs.

    Raises ValueError for double names, unknown needs and circles.
    """
    by_name = {step.name: step for step in steps}
    if len(by_name) < len(steps):
        names = [step.name for step in steps]
        raise ValueError(f"steps {sorted({n for n in names if names.count(n) > 1})}: named twice")
    keys: dict[str, str] = {}

    def key(name: str, path: tuple[str, ...]) -> str:
        if name in path:
            raise ValueError(f"steps need each other in a circle: {' -> '.join((*path, name))}")
        if name not in by_name:
            raise ValueError(f"step {path[-1]!r} needs {name!r}: expected one of {list(by_name)}")
        if name not in keys:
            needed = [key(need, (*path, name)) for need in sorted(by_name[name].needs)]
            keys[name] = digest(by_name[name].key, *needed)
        return keys[name]

    for step in steps:
        key(step.name, ())
    return keys


def bootstrap(paths: Paths, steps: Sequence[Step], console: Console) -> Outcome:
    """Runs the pending steps; another bootstrap of the same folder is waited for.

    Ctrl-C ends the running steps and raises KeyboardInterrupt: what was finished stays.
    """
    if not pending(paths, steps):
        return Outcome(done=(), up_to_date=tuple(s.name for s in steps), skipped=(), failures=())
    with _only_one(paths, console):
        shutil.rmtree(_scratch(paths), ignore_errors=True)  # left by one that was killed
        todo = pending(paths, steps)  # the other one may have done them
        with live_or_plain(console) as display:
            for step in steps:
                if step not in todo:
                    display.ended(step.name, "up to date")
            return _Run(paths, steps, todo, display).outcome()


class _Run:
    """One pass over the graph. Everything but `_work` runs in the caller's thread."""

    def __init__(
        self, paths: Paths, steps: Sequence[Step], todo: Sequence[Step], display: Display
    ) -> None:
        self.paths = paths
        self.steps = steps
        self.keys = full_keys(steps)
        self.waiting = list(todo)
        self.display = display
        self.cancelled = threading.Event()
        self.running: dict[Future[Failure | None], Step] = {}
        self.failures: dict[str, Failure] = {}
        self.skipped: set[str] = set()
        self.done: set[str] = set()

    def outcome(self) -> Outcome:
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="bootstrap") as pool:
            try:
                while self.waiting or self.running:
                    self._skip_the_unreachable()
                    self._start_what_can(pool)
                    self._collect()
            except BaseException:
                self.cancelled.set()  # leaving the block waits for the running steps' ends
                raise
        names = [step.name for step in self.steps]
        touched = self.done | self.skipped | set(self.failures)
        return Outcome(
            done=tuple(n for n in names if n in self.done),
            up_to_date=tuple(n for n in names if n not in touched),
            skipped=tuple(n for n in names if n in self.skipped),
            failures=tuple(self.failures[n] for n in names if n in self.failures),
        )

    def _skip_the_unreachable(self) -> None:
        lost = self.skipped | set(self.failures)
        while found := [step for step in self.waiting if lost & set(step.needs)]:
            for step in found:
                self.waiting.remove(step)
                self.skipped.add(step.name)
                missing = ", ".join(sorted(lost & set(step.needs)))
                self.display.ended(step.name, f"skipped: it needs {missing}")
            lost = self.skipped | set(self.failures)

    def _start_what_can(self, pool: ThreadPoolExecutor) -> None:
        for step in tuple(self.waiting):
            unfinished = {s.name for s in (*self.waiting, *self.running.values())}
            heavy_runs = any(other.heavy for other in self.running.values())
            if len(self.running) == PARALLEL:
                return
            if unfinished & set(step.needs) or (step.heavy and heavy_runs):
                continue
            self.waiting.remove(step)
            self.display.started(step.name, step.doing)
            self.running[pool.submit(self._work, step)] = step

    def _collect(self) -> None:
        finished, _ = wait(self.running, timeout=WAKE_S, return_when=FIRST_COMPLETED)
        for future in finished:
            step = self.running.pop(future)
            if failure := future.result():
                self.failures[step.name] = failure
            else:
                self.done.add(step.name)

    def _work(self, step: Step) -> Failure | None:
        log_file = self.paths.logs / f"{step.name}.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with log_file.open("w", encoding="utf-8") as file:
            log = Log(
                file,
                _scratch(self.paths),
                lambda text: self.display.said(step.name, text),
                self.cancelled,
            )
            try:
                step.run(log)
                self._stamp(step)
            except Interrupted:
                self.display.ended(step.name, "interrupted")
                raise
            except Exception as error:  # any fault of one step must not stop the others
                log.write(f"{type(error).__name__}: {error}")
                self.display.ended(step.name, f"failed after {_seconds(began)}")
                hint = error.hint if isinstance(error, StepError) else ""
                return Failure(
                    step=step.name,
                    reason=str(error) or type(error).__name__,
                    hint=hint or step.hint,
                    tail=tuple(log.tail),
                    log_file=log_file,
                )
        self.display.ended(step.name, f"done in {_seconds(began)}")
        return None

    def _stamp(self, step: Step) -> None:
        if missing := [str(path) for path in step.outputs if not path.exists()]:
            raise StepError(f"ended without an error, but did not make {', '.join(missing)}")
        stamp = self.paths.stamps / step.name
        stamp.parent.mkdir(parents=True, exist_ok=True)
        draft = stamp.with_suffix(".new")
        draft.write_text(self.keys[step.name])
        draft.replace(stamp)


def report(outcome: Outcome, console: Console) -> None:
    """Prints each failure with its last log lines and the next thing to do."""
    for failure in outcome.failures:
        console.print(f"\n[bold red]{failure.step} failed:[/] {escape(failure.reason)}")
        for line in failure.tail:
            console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"  log: {failure.log_file}", markup=False, soft_wrap=True)
        if failure.hint:
            console.print(f"  next: {failure.hint}", markup=False, soft_wrap=True)
    if outcome.failures:
        console.print("Finished steps stay done: run the same command again after mending.")


def main(argv: Sequence[str] | None = None) -> int:
    """Installs everything; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bootstrap", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show the steps and their state")
    parser.add_argument("--tests", action="store_true", help="also what only the tests need")
    arguments = parser.parse_args(argv)
    console = Console()
    paths = Paths.find()
    steps = all_steps(paths, tests=arguments.tests)
    if arguments.list:
        todo = {step.name for step in pending(paths, steps)}
        for step in steps:
            console.print(f"{step.name:24} {'to do' if step.name in todo else 'up to date'}")
        return 0
    os.umask(0o022)  # services, which run as another user, read what is installed
    with _terminated_like_interrupted():
        try:
            return _install(paths, steps, console)
        except KeyboardInterrupt:
            console.print("interrupted: the same command goes on with the missing steps")
            return EXIT_INTERRUPTED


def all_steps(paths: Paths, *, tests: bool) -> list[Step]:
    """The engine's and the services' steps, and those of the tests, long ones first."""
    from tools.steps import docker, kubernetes, services

    return [
        *engine.steps(paths),
        *services.steps(paths),
        *((*kubernetes.steps(paths), *docker.steps(paths)) if tests else ()),
    ]


def _install(paths: Paths, steps: Sequence[Step], console: Console) -> int:
    todo = pending(paths, steps)
    programs = engine.programs(paths, todo) | {p for step in todo for p in step.programs}
    if problems := preflight.check(paths, programs=programs, cold=bool(todo)):
        preflight.report(problems, console)
        return 1
    outcome = bootstrap(paths, steps, console)
    report(outcome, console)
    if not outcome.done and not outcome.failures:
        console.print(f"installed: all {len(steps)} tools are up to date")
    return 1 if outcome.failures else 0


def _is_done(paths: Paths, step: Step, key: str) -> bool:
    try:
        stamped = (paths.stamps / step.name).read_text()
    except FileNotFoundError:
        return False
    return stamped == key and all(path.exists() for path in step.outputs)


def _scratch(paths: Paths) -> Path:
    return paths.home / "tmp"


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


@contextmanager
def _only_one(paths: Paths, console: Console) -> Iterator[None]:
    paths.home.mkdir(parents=True, exist_ok=True)
    with (paths.home / "bootstrap.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("another bootstrap is running: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the running steps' processes too, instead of leaving compilers behind."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    raise SystemExit(main())
