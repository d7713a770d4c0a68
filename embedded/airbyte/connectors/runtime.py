"""Command line and error handling that every connector here shares."""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

from embedded.airbyte import protocol


class ConnectorError(Exception):
    """A failure to show to the user. Its text never holds a secret."""

    def __init__(self, message: str, failure_type: str = "config_error") -> None:
        super().__init__(message)
        self.failure_type = failure_type


class Connector(Protocol):
    def spec(self) -> dict[str, Any]: ...

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises ConnectorError."""

    def discover(self, config: Mapping[str, Any]) -> dict[str, Any]: ...

    def run(
        self, config: Mapping[str, Any], catalog: Mapping[str, Any], state: list[dict[str, Any]]
    ) -> None:
        """Reads (source) or writes (destination)."""


def now_ms() -> int:
    return int(time.time() * 1000)


def emit(*messages: Mapping[str, Any]) -> None:
    write(b"".join(protocol.dump(message) for message in messages))


def write(data: bytes) -> None:
    """To stdout, without Python's buffer: what is written is with the platform."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def load_spec(file: str) -> dict[str, Any]:
    """spec.json beside the connector's module."""
    raw: dict[str, Any] = orjson.loads((Path(file).parent / "spec.json").read_bytes())
    return raw


def main(connector: Connector, classify: Callable[[Exception], ConnectorError | None]) -> None:
    """Runs one protocol command and exits: 0, or 1 after a TRACE ERROR.

    classify: turns an exception of the connector's client library into a message for the user.
    """
    args = _arguments(sys.argv[1:], "write" if hasattr(connector, "WRITES") else "read")
    try:
        _run(connector, args, classify)
    except BrokenPipeError:
        os._exit(1)  # the platform is gone: nobody is left to tell
    except Exception as fault:  # the boundary of the process
        emit(_trace(fault, classify))
        sys.exit(1)


def _arguments(argv: Iterable[str], run: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("spec")
    names = ("check", "write") if run == "write" else ("check", "discover", "read")
    for name in names:
        command = commands.add_parser(name)
        command.add_argument("--config", required=True)
        if name == run:
            command.add_argument("--catalog", required=True)
        if name == "read":
            command.add_argument("--state")
    return parser.parse_args(list(argv))


def _run(
    connector: Connector,
    args: argparse.Namespace,
    classify: Callable[[Exception], ConnectorError | None],
) -> None:
    if args.command == "spec":
        emit({"type": "SPEC", "spec": connector.spec()})
        return
    config = _json(args.config)
    if args.command == "check":
        emit(
            {"type": "CONNECTION_STATUS", "connectionStatus": _check(connector, config, classify)}
        )
    elif args.command == "discover":
        emit({"type": "CATALOG", "catalog": connector.discover(config)})
    else:
        state = _json(args.state) if getattr(args, "state", None) else []
        connector.run(config, _json(args.catalog), state)


def _check(
    connector: Connector,
    config: Mapping[str, Any],
    classify: Callable[[Exception], ConnectorError | None],
) -> dict[str, str]:
    try:
        connector.check(config)
    except Exception as fault:
        known = fault if isinstance(fault, ConnectorError) else classify(fault)
        if known is None:
            raise
        return {"status": "FAILED", "message": str(known)}
    return {"status": "SUCCEEDED"}


def _json(path: str) -> Any:
    try:
        return orjson.loads(Path(path).read_bytes())
    except OSError as fault:
        raise ConnectorError(f"{path}: {fault.strerror}") from None
    except orjson.JSONDecodeError as fault:
        # The parser's text can quote the file, which may hold secrets.
        raise ConnectorError(f"{path}: line {fault.lineno}: not JSON") from None


def _trace(
    fault: Exception, classify: Callable[[Exception], ConnectorError | None]
) -> Mapping[str, Any]:
    known = fault if isinstance(fault, ConnectorError) else classify(fault)
    if known is not None:
        return protocol.error(str(known), str(fault), known.failure_type, now_ms())
    text = f"{type(fault).__name__}: {fault}"
    stack = "".join(traceback.format_exception(fault))
    return protocol.error(f"Something went wrong: {text}", text, "system_error", now_ms(), stack)
