"""`python -m embedded.dremio --config <file.json>`: runs the engine until SIGTERM or SIGINT."""

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from embedded.dremio import config as configuration
from embedded.dremio import logs
from embedded.dremio.api.app import build
from embedded.dremio.engine import Engine
from embedded.dremio.flight.serving import FlightService
from tls.contexts import context_factory

LOG = logging.getLogger("embedded.dremio")
GRACE_S = 10


class _Server(uvicorn.Server):
    """uvicorn's own handlers kill the process once REST is down, before the engine is."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def finish(self) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError: the address is taken or not ours."""
    listener = socket.create_server((host, port), backlog=128)
    listener.setblocking(False)
    # asyncio sets it on sockets that it opens itself only; without it an answer of two segments
    # waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def main() -> int:
    parser = argparse.ArgumentParser(prog="embedded.dremio", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file; keys: " + ", ".join(
        configuration.KEYS))  # fmt: skip
    arguments = parser.parse_args()
    os.umask(0o077)  # the data directory holds credentials
    logs.configure()
    try:
        config = configuration.load(arguments.config)
    except configuration.ConfigError as fault:
        LOG.error("%s", fault)
        return 2
    try:
        listener = listen(config.host, config.rest_port)
    except OSError as fault:
        LOG.error("restPort: %s:%s: %s", config.host, config.rest_port, fault.strerror)
        return 2
    return run(config, listener)


def run(config: configuration.Config, listener: socket.socket) -> int:
    engine = Engine(config)
    try:
        server = FlightService(engine, config.host, config.flight_port, config.tls)
    except OSError as fault:
        LOG.error("flightPort: %s:%s: %s", config.host, config.flight_port, fault)
        engine.duck.close()
        return 2
    engine.start()
    rest = _Server(
        uvicorn.Config(
            build(engine),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
            ssl_context_factory=context_factory(config.tls),
        )  # fmt: skip
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: rest.finish())
    LOG.info("REST on %s, Flight on port %s", listener.getsockname(), server.port)
    rest.run(sockets=[listener])  # returns on SIGTERM and SIGINT
    LOG.info("stopping")
    server.shutdown()
    engine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
