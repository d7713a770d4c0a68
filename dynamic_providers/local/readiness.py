"""Whether a service answers: by HTTP, by an open TCP port, or by a command that succeeds."""

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from dynamic_providers.endpoints import HOST
from dynamic_providers.handler import UNKNOWN, InputError, Props
from dynamic_providers.local import inputs
from dynamic_providers.local.account import Account
from tls.contexts import client_context

PROBE_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 20.0  # most start a Python, which takes seconds on a busy machine
KINDS = ("command", "http", "tcp")


def normalize(raw: Mapping[str, Any]) -> Any:
    """{kind: http, url, statusCodes [200], caFile ""}, {kind: tcp, port} or {kind: command,
    command}, each with timeoutS (60). caFile: of the authority that vouches for an https service.
    Without a kind: ready as soon as the program has run for a second."""
    given = raw.get("readiness") or {}
    if given == UNKNOWN:
        return given
    if not isinstance(given, Mapping):
        raise InputError("readiness", f"{given!r}: expected a map")
    if not given:
        return {}
    kind = given.get("kind")
    common = {"kind": kind, "timeoutS": inputs.seconds(given, "timeoutS", 60)}
    if kind == "http":
        codes = [inputs.whole(c, "readiness.statusCodes", 100, 599) for c in _codes(given)]
        return {
            **common,
            "url": inputs.text(given, "url"),
            "statusCodes": sorted(set(codes)),
            "caFile": inputs.text(given, "caFile"),
        }
    if kind == "tcp":
        return {**common, "port": inputs.port(given.get("port"), "readiness.port")}
    if kind == "command":
        return {**common, "command": inputs.command(given, "readiness.command")}
    raise InputError("readiness.kind", f"{kind!r}: expected one of {', '.join(KINDS)}")


def _codes(given: Mapping[str, Any]) -> list[Any]:
    return list(given.get("statusCodes") or [200])


def fault(readiness: Props, account: Account, directory: Path, environment: Props) -> str | None:
    """None if the service is ready, otherwise what is missing."""
    if not readiness:
        return None
    if readiness["kind"] == "http":
        return _http_fault(readiness)
    if readiness["kind"] == "tcp":
        return _tcp_fault(readiness["port"])
    return _command_fault(readiness["command"], account, directory, environment)


def _http_fault(readiness: Props) -> str | None:
    url, codes, ca_file = readiness["url"], readiness["statusCodes"], readiness["caFile"]
    try:
        verify = client_context(Path(ca_file)) if ca_file else True
        # trust_env: a proxy of the user's shell must not see calls to this machine.
        status = httpx.get(
            url, timeout=PROBE_TIMEOUT_S, trust_env=False, verify=verify
        ).status_code
    except (httpx.HTTPError, OSError) as error:
        return f"GET {url}: {error}"
    expected = " or ".join(map(str, codes))
    return None if status in codes else f"GET {url}: status {status}, expected {expected}"


def _tcp_fault(port: int) -> str | None:
    try:
        socket.create_connection((HOST, port), PROBE_TIMEOUT_S).close()
    except OSError as error:
        return f"{HOST}:{port}: {error.strerror or error}"
    return None


def _command_fault(
    command: list[str], account: Account, directory: Path, environment: Props
) -> str | None:
    try:
        status = subprocess.run(  # noqa: S603
            command,
            cwd=directory,
            env={**account.environment(str(directory)), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            **account.popen(),
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return f"{command[0]}: exit status {status}" if status else None
