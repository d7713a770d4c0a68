"""TLS contexts of this project's own servers and clients. Standard library alone: Superset's
environment uses it too.
"""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer. Every handshake looks whether the certificate's file has changed, so a
    renewed one is served without a restart; the key must be written before its certificate."""
    held = _loaded(certificate, key)
    read_at = _stamp(certificate)

    def newest(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal held, read_at
        stamp = _stamp(certificate)
        if stamp != read_at:
            try:
                held, read_at = _loaded(certificate, key), stamp
            except (OSError, ssl.SSLError):
                return  # half written: this client gets the old one, the next looks again
        connection.context = held

    context = _loaded(certificate, key)
    context.sni_callback = newest
    return context


def client_context(ca_file: Path) -> ssl.SSLContext:
    """Trusts the authorities in `ca_file` and no others."""
    return ssl.create_default_context(cafile=str(ca_file))


def _loaded(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _stamp(certificate: Path) -> tuple[int, int]:
    try:
        found = certificate.stat()
    except OSError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)
