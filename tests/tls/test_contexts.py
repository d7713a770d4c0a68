"""This project's own servers and clients with TLS."""

import asyncio
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.support import tls
from tests.support.ports import free_ports
from tests.support.tls import write_certificate
from tls.contexts import client_context, context_factory, server_context
from tls.files import KeyPair, key_pair


@pytest.fixture
def serve():
    """Starts a server of the kind that the services are; returns its port."""
    running = []

    def start(pair) -> int:
        (port,) = free_ports(1)
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=port,
                log_config=None,
                lifespan="off",
                ssl_context_factory=context_factory(pair),
            )
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive()
        return port

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


def test_a_server_speaks_tls_and_nothing_else(tmp_path, serve):
    files = write_certificate(tmp_path)
    port = serve(files)
    assert tls.serves(port, files.certificate)
    tls.assert_clear_text_is_refused(port)
    tls.assert_strangers_are_not_trusted(port)
    tls.assert_old_versions_are_refused(port)


def test_a_server_that_speaks_old_versions_would_be_seen(tmp_path):
    files = write_certificate(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        lax.minimum_version = ssl.TLSVersion.TLSv1
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.load_cert_chain(files.certificate, files.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as raw, lax.wrap_socket(raw, server_side=True):
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(AssertionError, match="accepted TLSv1.1"):
            tls.assert_old_versions_are_refused(listener.getsockname()[1])
        thread.join()


def test_a_renewed_certificate_is_served_from_the_next_connection_on(tmp_path, serve):
    port = serve(write_certificate(tmp_path))
    renewed = write_certificate(tmp_path)
    assert tls.serves(port, renewed.certificate)


def test_a_half_written_certificate_leaves_the_old_one_in_use(tmp_path, serve):
    files = write_certificate(tmp_path)
    port = serve(files)
    old = tmp_path / "old.crt"
    old.write_text(files.certificate.read_text())
    files.certificate.write_text("-----BEGIN CERT")
    assert tls.serves(port, old)
    files.certificate.unlink()
    assert tls.serves(port, old)
    assert tls.serves(port, write_certificate(tmp_path).certificate)


def test_a_server_with_a_certificate_that_is_none_does_not_start(tmp_path):
    files = write_certificate(tmp_path)
    files.certificate.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        server_context(files)


def test_a_client_trusts_the_authority_of_its_file_and_no_other(tmp_path, serve):
    files = write_certificate(tmp_path)
    port = serve(files)
    stranger = tmp_path / "stranger.crt"
    stranger.write_text(tls.STRANGER.certificate)

    async def connect(ca_file: Path) -> None:
        context = client_context(ca_file)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.close()

    asyncio.run(connect(files.ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(connect(stranger))


def test_the_files_of_a_certificate_stand_in_a_configuration():
    pair = KeyPair(certificate=Path("/c"), key=Path("/k"))
    assert key_pair(pair.config()) == pair
    assert key_pair(None) is None


@pytest.mark.parametrize(
    "wrong", [{}, {"certificateFile": "/c"}, {"certificateFile": "c", "keyFile": "/k"}, "tls"]
)
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="^tls: "):
        key_pair(wrong)
