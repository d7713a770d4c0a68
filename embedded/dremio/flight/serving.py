"""Keeps a Flight server on its port. gRPC reads its certificate once, so a renewed one means a new
server: the old one lets its calls end, and takes no new ones for as long. What waits to be
fetched stays valid.
"""

import logging
import ssl
import threading

from embedded.dremio.engine import Engine
from embedded.dremio.flight.server import FlightServer, Handles
from tls.contexts import server_context
from tls.files import KeyPair

WATCH_S = 5.0
REBIND_S = 0.5

_log = logging.getLogger(__name__)


class FlightService:
    """port: the one in use. Raises OSError when it is taken, or the certificate is no such."""

    def __init__(
        self, engine: Engine, host: str, port: int, tls: KeyPair | None, watch_s: float = WATCH_S
    ) -> None:
        self._engine, self._host, self._tls, self._watch_s = engine, host, tls, watch_s
        self._handles = Handles()
        self._stopping = threading.Event()
        self._stamp = tls.stamp() if tls else None
        self._server = self._new(port)
        self.port: int = self._server.port
        self._watcher = threading.Thread(target=self._watch, name="flight-tls", daemon=True)
        if tls is not None:
            self._watcher.start()

    def shutdown(self) -> None:
        """Returns when the calls in progress have ended."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._server.shutdown()

    def _new(self, port: int) -> FlightServer:
        return FlightServer(self._engine, self._host, port, self._tls, self._handles)

    def _watch(self) -> None:
        while not self._stopping.wait(self._watch_s):
            if self._tls is None or self._tls.stamp() == self._stamp:
                continue
            try:
                server_context(self._tls)  # a pair that is half written must not end the old one
            except (OSError, ssl.SSLError):
                continue
            self._stamp = self._tls.stamp()
            self._renew()

    def _renew(self) -> None:
        self._server.shutdown()
        while not self._stopping.is_set():
            try:
                self._server = self._new(self.port)
            except OSError as fault:  # the system gives the port back late
                _log.warning("Flight: %s", fault)
                self._stopping.wait(REBIND_S)
            else:
                _log.info("Flight serves with the renewed certificate")
                return
