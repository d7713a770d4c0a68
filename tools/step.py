"""One step of the bootstrap, and what its `run` may use: its log, commands, staged folders."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

TAIL_LINES = 15  # of a failed step's log: enough for a compiler's or a resolver's last words
POLL_S = 0.2  # how soon a running command notices that the bootstrap was interrupted
STOP_S = 5.0  # grace between SIGTERM and SIGKILL


class StepError(Exception):
    """A step cannot be done. `hint`: what the user should do next."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """The bootstrap was interrupted while this step was running."""


class Log:
    """Log file of one running step. Everything that a step does goes through it."""

    def __init__(
        self, file: TextIO, scratch: Path, say: Callable[[str], None], cancelled: threading.Event
    ) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._file = file
        self._scratch = scratch
        self._say = say
        self._cancelled = cancelled

    def write(self, text: str) -> None:
        """Into the log file only."""
        for line in text.splitlines():
            self.tail.append(line)
            self._file.write(line + "\n")
        self._file.flush()

    def say(self, text: str) -> None:
        """For the user's eyes too: which route was taken, and why."""
        self.write(text)
        self._say(text)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        hint: str = "",
    ) -> str:
        """What the command printed on both streams, which also goes to the log.

        env is added to the inherited environment. Raises StepError when it fails, is missing
        or outlives timeout_s, and Interrupted when the bootstrap was; its whole process group
        is ended first.
        """
        shown = " ".join(str(arg) for arg in argv)
        self.write(f"$ {shown}")
        try:
            process = subprocess.Popen(  # noqa: S603 - argv, no shell
                [str(arg) for arg in argv],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # its children end with it
            )
        except OSError as error:
            raise StepError(f"{shown}: {error.strerror}", hint) from error
        printed = self._follow(process, shown, timeout_s)
        if process.returncode:
            raise StepError(f"{shown}: exit code {process.returncode}", hint)
        return printed

    def _follow(self, process: subprocess.Popen[str], shown: str, timeout_s: float | None) -> str:
        lines: list[str] = []

        def drain() -> None:
            assert process.stdout is not None  # noqa: S101 - set by PIPE, for the type checker
            for line in process.stdout:
                lines.append(line)
                self.write(line)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        waited = 0.0
        while True:
            try:
                process.wait(POLL_S)
                break
            except subprocess.TimeoutExpired:
                waited += POLL_S
            if self._cancelled.is_set():
                _end_group(process)
                raise Interrupted
            if timeout_s is not None and waited >= timeout_s:
                _end_group(process)
                raise StepError(f"{shown}: no end after {timeout_s:.0f} s")
        # A grandchild that outlives the command may hold the pipe open: do not wait for it.
        reader.join(STOP_S)
        return "".join(lines)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the file system of DATAFLOW_HOME, deleted afterwards."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            Path(name).chmod(0o755)  # services read what is renamed out of it, as another user
            yield Path(name)

    @contextmanager
    def staged(self, target: Path) -> Iterator[Path]:
        """An empty folder that becomes `target` when the block ends without an exception.

        An earlier `target` stays until then, and is gone afterwards.
        """
        with self.scratch() as scratch:
            draft, old = scratch / "new", scratch / "old"
            draft.mkdir(mode=0o755)
            yield draft
            if self._cancelled.is_set():
                raise Interrupted
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                target.rename(old)
            draft.rename(target)

    def publish(self, draft: Path, target: Path, mode: int = 0o755) -> None:
        """Moves one finished file from `scratch` into place; a running old one keeps going."""
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.chmod(mode)
        draft.replace(target)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A thing to install.

    name: unique, one word: names the stamp and the log file.
    key: hash of everything that decides the result (`digest`): the step is run again when it,
        or the key of a needed step, changes.
    run: does it, with staged or published results only. Raises StepError.
    needs: names of the steps that must be done before.
    outputs: paths whose absence makes the step run again.
    programs: names of `preflight.PROGRAMS` that must be on this machine for it to run.
    heavy: uses all cores for long (a compiler): runs alone among the heavy ones.
    doing: what the user sees while it runs, with the time that it takes at first.
    hint: what the user should do when it fails, unless the StepError says it.
    """

    name: str
    key: str
    run: Callable[[Log], None]
    needs: tuple[str, ...] = ()
    outputs: tuple[Path, ...] = ()
    programs: tuple[str, ...] = ()
    heavy: bool = False
    doing: str = "installing"
    hint: str = ""


def digest(*parts: str | Path) -> str:
    """Hash of texts, files and folders (all files below, by relative name and content).

    Python's caches do not count. Raises FileNotFoundError for a path that does not exist.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            entries = [("", part.encode())]
        elif part.is_dir():
            files = sorted(path for path in part.rglob("*") if path.is_file())
            entries = [
                (str(path.relative_to(part)), path.read_bytes())
                for path in files
                if "__pycache__" not in path.parts
            ]
        else:
            entries = [(part.name, part.read_bytes())]
        for name, content in entries:
            total.update(f"{len(name)}:{name}:{len(content)}:".encode() + content)
        total.update(b"|")  # so that a part's end counts
    return total.hexdigest()[:32]


def copy_executable(source: Path, target: Path) -> None:
    """A copy with mode 0755, whatever the source's (module caches are read-only)."""
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_S)
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return
