"""The supervisord of a stack: where it lives, and its XML-RPC interface.

http://supervisord.org/api.html
"""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults  # type: ignore[import-untyped]

from dynamic_providers.handler import InputError
from dynamic_providers.local import core_dumps, proc
from dynamic_providers.local.account import PATH

CALL_TIMEOUT_S = 10.0
START_TIMEOUT_S = 30.0
POLL_S = 0.05
# sun_path holds 108 bytes with the final zero; supervisord binds to `<path>.<pid>` first.
SOCKET_PATH_MAX_BYTES = 107 - len(".4194304")


@dataclass(frozen=True, kw_only=True)
class ProcessInfo:
    """state: supervisord's word, such as RUNNING, STARTING, BACKOFF, EXITED, FATAL, STOPPED."""

    state: str
    pid: int
    exit_status: int

    @property
    def up(self) -> bool:
        return self.state in ("RUNNING", "STARTING")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


@dataclass(frozen=True)
class Control:
    """home: `<stackDir>/supervisor`."""

    home: Path

    @property
    def config(self) -> Path:
        return self.home / "supervisord.conf"

    @property
    def log(self) -> Path:
        return self.home / "supervisord.log"

    def program_config(self, name: str) -> Path:
        return self.home / "conf.d" / f"{name}.conf"

    @property
    def socket(self) -> Path:
        """In `home`, or in a short folder of its own if the path is too long for a socket."""
        path = self.home / "supervisor.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path("/tmp") / f"dataflow-{digest}" / "supervisor.sock"  # noqa: S108 (checked)

    def call(self, method: str, *arguments: Any) -> Any:
        """One call of the `supervisor` namespace. Raises OSError, xmlrpc.client.Fault."""
        # A proxy for each call: its connection is not made for several threads.
        with xmlrpc.client.ServerProxy("http://localhost", _Transport(self.socket)) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def alive(self) -> bool:
        """True if a supervisord answers. A pid file would prove nothing."""
        try:
            return bool(self.call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def daemons(self) -> list[proc.Pid]:
        """The supervisord processes of this stack, whether they answer or not."""
        return proc.find(
            lambda line: "supervisor.supervisord" in line and str(self.config) in line
        )

    def info(self, name: str) -> ProcessInfo | None:
        """None if the supervisord does not know the program, or does not run."""
        try:
            found = self.call("getProcessInfo", name)
        except (OSError, http.client.HTTPException):
            return None
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.BAD_NAME:
                return None
            raise
        return ProcessInfo(
            state=found["statename"], pid=found["pid"], exit_status=found["exitstatus"]
        )

    def stop(self, name: str, timeout_s: float) -> None:
        """Returns when the program and all of its process group are gone."""
        info = self.info(name)
        if info is None:
            return
        try:
            self.call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise
        deadline = time.monotonic() + timeout_s + CALL_TIMEOUT_S  # SIGKILL comes at timeout_s
        while (now := self.info(name)) and now.state not in ("STOPPED", "EXITED", "FATAL"):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"process {info.pid} still runs {timeout_s:g} s after the stop signal"
                )
            time.sleep(POLL_S)
        if info.pid:
            _end_group(info.pid)

    def load(self, name: str) -> None:
        """Takes over the program's configuration file, new, changed or removed. It must not
        run."""
        self.call("reloadConfig")
        try:
            self.call("removeProcessGroup", name)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.BAD_NAME:
                raise
        if self.program_config(name).exists():
            self.call("addProcessGroup", name)

    def start_daemon(self) -> None:
        """Starts a supervisord in a session of its own and returns when it answers."""
        self._make_socket_folder()
        core_dumps.forbid()
        started = subprocess.run(  # noqa: S603
            # -I: neither the folder nor the environment of the caller decide what is imported.
            [sys.executable, "-I", "-m", "supervisor.supervisord", "-c", str(self.config)],
            cwd="/",
            # Not the caller's environment: it may hold the passphrase of the stack.
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.alive():
            if started.returncode or time.monotonic() > deadline:
                output = (started.stdout + started.stderr).strip()[-2000:]
                raise RuntimeError(f"supervisord did not start: {output} (log: {self.log})")
            time.sleep(POLL_S)

    def _make_socket_folder(self) -> None:
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise InputError(
                "stackDir", f"{str(folder)!r}: belongs to another user, or is open to others"
            )

    def stop_daemon(self, timeout_s: float) -> None:
        """Ends supervisord and with it all programs, and returns when it is gone."""
        daemons = self.daemons()
        try:
            self.call("shutdown")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            _signal(daemons, signal.SIGTERM)  # it hangs, or its socket was removed
        deadline = time.monotonic() + timeout_s
        while any(daemon.alive() for daemon in daemons):
            if time.monotonic() > deadline:
                # Its programs get their stop signal from the kernel: see process.py.
                _signal(daemons, signal.SIGKILL)
            time.sleep(POLL_S)


def of(stack_dir: str) -> Control:
    return Control(Path(stack_dir) / "supervisor")


def _signal(pids: list[proc.Pid], number: signal.Signals) -> None:
    for pid in pids:
        if pid.alive():
            try:
                os.kill(pid.number, number)
            except ProcessLookupError:
                pass  # ended meanwhile


def _end_group(group: int) -> None:
    """Ends what a stopped program left in its process group."""
    _signal(proc.group_members(group), signal.SIGKILL)
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while proc.group_members(group) and time.monotonic() < deadline:
        time.sleep(POLL_S)
