"""Connectors as child processes: private working folders, small environments, sure ends."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

TERM_GRACE_S = 5.0
POLL_S = 0.02
ROOT = Path(__file__).resolve().parents[3]  # where `embedded` is importable
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def folder(work_dir: Path) -> Iterator[Path]:
    """A folder that only this user can read, gone afterwards: it holds configurations."""
    with tempfile.TemporaryDirectory(dir=work_dir, prefix="sync-") as path:
        yield Path(path)


def write_json(path: Path, value: Any) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(value))
    return path


def environment(directory: Path) -> Mapping[str, str]:
    """Without the control plane's own variables, which may hold secrets."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "AIRBYTE_OFFLINE_MODE": "1",
    }


def start(command: Sequence[str], directory: Path, *, feeds: bool) -> subprocess.Popen[bytes]:
    """feeds: the child reads messages from stdin."""
    return subprocess.Popen(  # noqa: S603  the command is the operator's, from the configuration
        list(command),
        stdin=subprocess.PIPE if feeds else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory,
        env=environment(directory),
        bufsize=0,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes]) -> int:
    """Waits for a child, then ends what it started and left behind. Its exit code."""
    if process.returncode is None:
        try:
            # Not reaped yet: the dead child keeps the number of its group from being reused.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            os.killpg(process.pid, signal.SIGKILL)
        except (ChildProcessError, ProcessLookupError, PermissionError):
            pass  # another thread was faster, or nothing is left to end
    return process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a child and its children: politely, then by force."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        deadline = time.monotonic() + TERM_GRACE_S
        while time.monotonic() < deadline and not _exited(process):
            time.sleep(POLL_S)
        if not _exited(process):
            process.kill()
    finish(process)


def _exited(process: subprocess.Popen[bytes]) -> bool:
    if process.returncode is not None:
        return True
    try:
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, process.pid, options) is not None
    except ChildProcessError:
        return True
