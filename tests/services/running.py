"""Starts a third-party service as the unprivileged user, in a folder of its own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.init import Init

POLL_S = 0.2  # between two readiness probes


def installed(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is missing: install it with `make bootstrap`")
    return path


class Place:
    """Folders config/, data/, logs/, tmp/ of one service, which belong to its user."""

    def __init__(self, root: Path, uid: int, gid: int) -> None:
        self.root, self.uid, self.gid = root, uid, gid
        for name in ("config", "data", "logs", "tmp"):
            (root / name).mkdir(parents=True)
            os.chown(root / name, uid, gid)
        self.config, self.data = root / "config", root / "data"
        self.logs, self.tmp = root / "logs", root / "tmp"

    def write(self, name: str, text: str) -> Path:
        path = self.config / name
        path.write_text(text)
        path.chmod(0o600)
        os.chown(path, self.uid, self.gid)
        return path

    def secret(self, name: str) -> tuple[Path, str]:
        value = secrets.token_hex(24)
        return self.write(name, value), value

    def popen(self, command: Sequence[str], env: Mapping[str, str], **more) -> subprocess.Popen:
        as_user = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.Popen(
            command,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.tmp), **env},
            cwd=self.tmp,
            start_new_session=True,
            stderr=subprocess.STDOUT,
            **(as_user if os.geteuid() == 0 else {}),
            **more,
        )

    def init(self, init: Init, env: Mapping[str, str] | None = None) -> None:
        given = Path(init.stdin_file).read_bytes() if init.stdin_file else None
        process = self.popen(
            init.command, env or {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        printed, _ = process.communicate(given, timeout=60)
        assert process.returncode == 0, printed.decode()
        assert Path(init.creates).exists()

    def succeeds(self, command: Sequence[str], env: Mapping[str, str]) -> bool:
        process = self.popen(command, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        printed, _ = process.communicate(timeout=60)
        # Not ready is no reason to talk: what is printed is a fault of the probe's own.
        assert not printed, printed.decode()
        return process.returncode == 0

    @contextmanager
    def running(
        self,
        command: Sequence[str],
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        timeout_s: float = 90,
    ) -> Iterator[subprocess.Popen]:
        log = self.logs / "output.log"
        with log.open("ab") as out:
            process = self.popen(command, env or {}, stdin=subprocess.DEVNULL, stdout=out)
        try:

            def alive() -> None:
                state = process.poll()
                assert state is None, f"ended with {state}:\n{log.read_text()[-4000:]}"

            try:
                wait_until(ready, timeout_s, alive)
            except TimeoutError:
                pytest.fail(f"not ready after {timeout_s} s:\n{log.read_text()[-4000:]}")
            yield process
        finally:
            stop(process)


def wait_until(
    ready: Callable[[], bool], timeout_s: float, alive: Callable[[], None] = lambda: None
) -> None:
    """Returns when `ready` says so. Raises TimeoutError, and whatever `alive` raises."""
    end = time.monotonic() + timeout_s
    while not answers(ready):
        alive()
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(POLL_S)


def answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except (httpx.HTTPError, OSError):
        return False


def stop(process: subprocess.Popen) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        else:
            break
    process.wait()


def connects(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
