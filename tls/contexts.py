"""TLS contexts of this project's own servers and clients. Standard library alone: Superset's
environment uses it too.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from tls.files import KeyPair


def server_context(pair: KeyPair) -> ssl.SSLContext:
    """TLS 1.2 or newer. Every handshake looks whether the certificate's file has changed, so a
    renewed one is served without a restart; the key must be written before its certificate."""
    held = _loaded(pair)
    read_at = pair.stamp()

    def newest(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal held, read_at
        stamp = pair.stamp()
        if stamp != read_at:
            try:
                held, read_at = _loaded(pair), stamp
            except (OSError, ssl.SSLError):
                return  # half written: this client gets the old one, the next looks again
        connection.context = held

    context = _loaded(pair)
    context.sni_callback = newest
    return context


def context_factory(pair: KeyPair | None) -> Callable[..., ssl.SSLContext] | None:
    """The `ssl_context_factory` of uvicorn; without a certificate it serves clear text."""
    return None if pair is None else lambda *_: server_context(pair)


def client_context(ca_file: Path) -> ssl.SSLContext:
    """Trusts the authorities in `ca_file` and no others."""
    return ssl.create_default_context(cafile=str(ca_file))


def _loaded(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    return context
