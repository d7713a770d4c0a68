"""Connections to a port with TLS, without it, and with what must not be accepted."""

import os
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tests.services.running import Place
from tls.authority import Authority, authority
from tls.files import CertificateFiles

SIGNER = authority("the authority of the tests")
STRANGER = authority("an authority that nobody trusts")
HOSTS = ("127.0.0.1", "localhost")
TIMEOUT_S = 10.0
SSL_REQUEST = struct.pack("!II", 8, 80877103)  # PostgreSQL's word for "let us speak TLS"
# Of the client itself, which prove nothing about a server.
OWN_REFUSALS = {"NO_CIPHERS_AVAILABLE", "NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL"}


def write_certificate(folder: Path) -> CertificateFiles:
    """A certificate for this machine in `folder`; again: a renewed one. Moved into place, key
    first, as renewals do it."""
    issued = SIGNER.issue("test", HOSTS, now=datetime.now(UTC), days=90)
    files = CertificateFiles(
        certificate=folder / "tls.crt", key=folder / "tls.key", ca=folder / "ca.crt"
    )
    texts = {
        files.ca: SIGNER.certificate,
        files.key: issued.key,
        files.certificate: issued.certificate,
    }
    for path, text in texts.items():
        draft = folder / "draft"
        draft.write_text(text)
        os.replace(draft, path)
    return files


def put_certificate(
    place: Place, certificate: str = "tls.crt", key: str = "tls.key", ca: str = "ca.crt"
) -> CertificateFiles:
    """The same in config/tls of a service, under the names that it wants."""
    made = write_certificate(place.tmp)
    folder = place.config / "tls"
    found = []
    for name, draft in ((ca, made.ca), (key, made.key), (certificate, made.certificate)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for owned in (folder, path.parent, draft):
            os.chown(owned, place.uid, place.gid)
        if draft.suffix == ".key":
            draft.chmod(0o600)
        os.replace(draft, path)
        found.append(path)
    return CertificateFiles(ca=found[0], key=found[1], certificate=found[2])


def trusting(signer: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=signer.certificate)


@contextmanager
def connection(
    port: int, *, postgresql: bool = False, host: str = "127.0.0.1"
) -> Iterator[socket.socket]:
    with socket.create_connection((host, port), TIMEOUT_S) as raw:
        if postgresql:
            raw.sendall(SSL_REQUEST)
            assert raw.recv(1) == b"S"
        yield raw


@contextmanager
def handshaking(context: ssl.SSLContext, *, postgresql: bool = False) -> Iterator[int]:
    """Port of a server that does no more than the handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                with raw, suppress(OSError):
                    if postgresql:
                        assert raw.recv(len(SSL_REQUEST)) == SSL_REQUEST
                        raw.sendall(b"S")
                    context.wrap_socket(raw, server_side=True).close()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # close alone does not end accept


def served(port: int, signer: Authority = SIGNER, *, postgresql: bool = False) -> str:
    """The certificate (PEM) that the port shows to a client that trusts `signer`."""
    with connection(port, postgresql=postgresql) as raw:
        with trusting(signer).wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
            return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True))


def serves(port: int, certificate: Path, *, postgresql: bool = False) -> bool:
    text = certificate.read_text()
    return ssl.PEM_cert_to_DER_cert(served(port, postgresql=postgresql)) == (
        ssl.PEM_cert_to_DER_cert(text)
    )


def assert_strangers_are_not_trusted(port: int, *, postgresql: bool = False) -> None:
    try:
        served(port, STRANGER, postgresql=postgresql)
    except ssl.SSLCertVerificationError:
        return
    raise AssertionError(f"port {port}: a client that trusts another authority was content")


def assert_old_versions_are_refused(port: int, *, postgresql: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = old_client()
    try:
        with connection(port, postgresql=postgresql) as raw, context.wrap_socket(raw) as wrapped:
            version = wrapped.version()
    except ConnectionResetError:
        return
    except ssl.SSLError as refusal:
        assert refusal.reason not in OWN_REFUSALS, refusal
        return
    raise AssertionError(f"port {port}: accepted {version}")


def old_client() -> ssl.SSLContext:
    """Speaks TLS 1.0 and 1.1 only, to anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # else it would refuse itself
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def assert_clear_text_is_refused(port: int, host: str = "127.0.0.1") -> None:
    """Whatever comes back to an HTTP request is no answer to it. (Go's servers say 400.)"""
    with connection(port, host=host) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        try:
            answer = raw.recv(4096)
        except ConnectionResetError:
            return
    assert not answer.startswith(b"HTTP/") or b" 400 " in answer.split(b"\r\n")[0], answer


def assert_postgresql_refuses_clear_text(port: int, password: str) -> None:
    """password: of the user `postgres`."""
    with pytest.raises(psycopg.OperationalError, match="rejects connection .* no encryption"):
        psycopg.connect(
            host="127.0.0.1",
            port=port,
            user="postgres",
            password=password,
            dbname="postgres",
            sslmode="disable",
        )
