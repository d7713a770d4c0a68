"""Serves an ASGI application in this process, on a free port."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from tls.contexts import context_factory
from tls.files import KeyPair


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def serving(app: Starlette, port: int = 0, tls: KeyPair | None = None) -> Iterator[str]:
    """Yields http://host:port, https with a certificate. Raises OSError if the port is taken."""
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio leaves Nagle's algorithm on for sockets that it did not open: 40 ms an answer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            lifespan="off",
            ssl_context_factory=context_factory(tls),
            # A client that leaves its connection open would be waited for.
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert server.up.wait(10), "the fake does not start"
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
