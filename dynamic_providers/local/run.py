"""Programs that run to their end: jobs, and the first steps of a service."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dynamic_providers.local import core_dumps, proc
from dynamic_providers.local.account import Account

STOP_S = 5.0  # between SIGTERM and SIGKILL

# Ends the process group $0 when its standard input closes without a line: the runner died, even
# by SIGKILL. The group is its own session, so nothing else would end it.
_GUARD = 'read -r _ && exit 0; kill -s KILL -- "-$0"'


class ProgramError(ValueError):
    """A program that failed: what it was, its last lines without secrets, its log."""


def run(
    command: list[str],
    *,
    account: Account,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    timeout_s: float,
    stdin: str | None = None,
) -> int:
    """The exit status (negative: the signal). `log` is written anew, nothing of the program
    outlives the call. Raises ProgramError if it cannot start or is still running at the end of
    the time."""
    core_dumps.forbid()
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**account.environment(str(directory)), **environment},
                start_new_session=True,
                umask=0o027,
                **account.popen(),
            )
        except OSError as fault:
            raise ProgramError(f"cannot run {command[0]!r}: {fault.strerror}") from None
        with _guarded(child.pid):
            try:
                child.communicate(None if stdin is None else stdin.encode(), timeout=timeout_s)
            except subprocess.TimeoutExpired:
                raise ProgramError(f"still running after {timeout_s:g} s, stopped") from None
            finally:
                _end(child)
    return child.returncode


@contextmanager
def _guarded(group: int) -> Iterator[None]:
    guard = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", _GUARD, str(group)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        guard.communicate(b"done\n")


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        _signal(child.pid, signal.SIGTERM)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass  # SIGKILL follows
    if proc.group_members(child.pid):
        _signal(child.pid, signal.SIGKILL)
    child.wait()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass  # ended meanwhile
