"""The process: its configuration, its ports, its end."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.dremio.config import ConfigError, parse
from tests.embedded.dremio.conftest import GOOD


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
        ({"tls": {"keyFile": "/k"}}, "tls: expected certificateFile and keyFile"),
    ],
)
def test_a_bad_configuration_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"file.json: .*{message}|file.json: {message}"):
        parse({**GOOD, **change}, "file.json")


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
