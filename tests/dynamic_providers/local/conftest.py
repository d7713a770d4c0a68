"""A stack folder on this machine, and programs to run in it."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynamic_providers.local import control, process, supervisor
from tests.support.ports import free_ports

SERVER = """\
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = {"/user": str(os.geteuid()), "/pid": str(os.getpid())}.get(self.path)
        text = text or os.environ.get(self.path[1:], "")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
print("starting")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
TIMEOUT_S = 30


@pytest.fixture(scope="session")
def user() -> str:
    """The service user: as root `dataflow`, otherwise the one that runs the tests."""
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam("dataflow")
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "dataflow"], check=True)
    return "dataflow"


@contextmanager
def _stacks() -> Iterator[Callable[[str], str]]:
    # Not tmp_path: pytest closes it to other users, and services run as one.
    root = Path(tempfile.mkdtemp(prefix="dataflow-test-"))
    root.chmod(0o755)
    made = []

    def make(name: str) -> str:
        spec = supervisor.normalize({"stackDir": str(root / name)})
        made.append(supervisor.create(None, spec))
        return spec["stackDir"]

    try:
        yield make
    finally:
        for live in made:
            supervisor.delete(None, live.id, live.inputs)
            assert control.of(live.id).daemons() == []
        shutil.rmtree(root)


@pytest.fixture
def make_stack() -> Iterator[Callable[[str], str]]:
    """Makes a supervised stack in a folder of that name, and at the end removes all."""
    with _stacks() as make:
        yield make


@pytest.fixture(scope="session")
def _shared_stack() -> Iterator[str]:
    with _stacks() as make:
        yield make("shared")


@pytest.fixture
def stack(_shared_stack: str) -> Iterator[str]:
    """A supervised stack without services; those that a test makes are removed after it."""
    yield _shared_stack
    for service in Path(_shared_stack, "services").glob("*"):
        process.delete(None, str(service), {})


@pytest.fixture
def server(user, free_port) -> Callable[..., dict]:
    """Inputs of a process that serves HTTP: /user, /pid and /<variable>."""

    def spec(stack_dir: str, name: str = "web", **changes) -> dict:
        port = changes.pop("port", None) or free_port()
        script = f"{stack_dir}/services/{name}/config/server.py"
        return process.normalize(
            {
                "stackDir": stack_dir,
                "name": name,
                "command": [sys.executable, "-S", "-E", script, str(port)],
                "files": {"server.py": SERVER},
                "user": user,
                "ports": [port],
                "readiness": {"kind": "http", "url": url(port, "pid"), "timeoutS": TIMEOUT_S},
                **changes,
            }
        )

    return spec


@pytest.fixture
def free_port() -> Callable[[], int]:
    return lambda: free_ports(1)[0]


def url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}/{path}"


@pytest.fixture
def get() -> Callable[[dict, str], str]:
    """What a server made by `server` answers."""

    def fetch(spec: dict, path: str) -> str:
        with urllib.request.urlopen(url(spec["ports"][0], path), timeout=5) as answer:
            return answer.read().decode()

    return fetch


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(promise: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not _holds(promise):
            assert time.monotonic() < deadline, "did not come true in time"
            time.sleep(0.02)

    return wait


def _holds(promise: Callable[[], bool]) -> bool:
    try:
        return promise()
    except OSError:  # not listening yet
        return False
