"""The process: its configuration, its ports, its end."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.dremio.config import ConfigError, parse

GOOD = {"host": "127.0.0.1", "restPort": 0, "flightPort": 0, "dataDir": "/tmp/x",
        "edition": "community"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edition": "free"}, "edition: 'free': expected one of community, enterprise"),
        ({"restPort": 70000}, "restPort: 70000: expected a number from 0 to 65535"),
        ({"restPort": 1, "flightPort": 1}, "flightPort: 1: is also restPort"),
        ({"dataDir": "relative"}, "expected an absolute path"),
        ({"memoryLimit": "lots"}, "memoryLimit: 'lots': expected such as '2GB'"),
        ({"threads": 0}, "threads: 0: expected"),
        ({"prot": 1}, "prot: unknown key"),
    ],
)
def test_a_bad_configuration_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"file.json: .*{message}|file.json: {message}"):
        parse({**GOOD, **change}, "file.json")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    def start(**change: Any) -> subprocess.Popen[str]:
        path = tmp_path / "dremio.json"
        path.write_text(json.dumps({**GOOD, "dataDir": str(tmp_path / "data"), **change}))
        return subprocess.Popen(
            [sys.executable, "-m", "embedded.dremio", "--config", str(path)],
            stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    return start


def test_it_serves_and_ends_on_sigterm(run: Callable[..., Any], tmp_path: Path) -> None:
    process = run()
    line = json.loads(process.stderr.readline())
    assert line["level"] == "INFO", line
    port = int(line["message"].split("', ")[1].split(")")[0])
    assert httpx.get(f"http://127.0.0.1:{port}/apiv2/server_status").json() == "OK"
    assert "dremio_query_duration_seconds" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert (tmp_path / "data" / "state.sqlite").stat().st_mode & 0o077 == 0


def test_a_taken_port_is_named(run: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = run(restPort=taken.getsockname()[1])
        assert process.wait(timeout=30) == 2
        assert f"restPort: 127.0.0.1:{taken.getsockname()[1]}" in process.stderr.read()
