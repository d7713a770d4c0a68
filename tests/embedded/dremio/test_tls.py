"""The engine with a certificate: REST and Flight."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.flight as flight
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from embedded.dremio.config import Config
from embedded.dremio.engine import Engine
from embedded.dremio.errors import EngineError
from embedded.dremio.flight.serving import FlightService
from embedded.dremio.storage.duck import Duck
from tests.fakes.serving import serving
from tests.services.running import wait_until
from tests.support import tls
from tests.support.tls import write_certificate
from tls.files import CertificateFiles

USER, PASSWORD = "ada", "pa55word-of-ada"
RENEWAL_S = 30
SQL = flight.FlightDescriptor.for_command(b"SELECT 1 AS one")


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return write_certificate(tmp_path)


@pytest.fixture
def service(tmp_path: Path, files: CertificateFiles) -> Iterator[FlightService]:
    engine = Engine(
        Config(
            host="127.0.0.1",
            rest_port=0,
            flight_port=0,
            data_dir=tmp_path / "data",
            edition="community",
        )
    )
    engine.start()
    engine.add_user(USER, PASSWORD, "Ada", "L", "ada@example.com")
    service = FlightService(engine, "127.0.0.1", 0, files, watch_s=0.05)
    yield service
    service.shutdown()
    engine.stop()


@pytest.fixture
def connect(service: FlightService) -> Callable[..., flight.FlightClient]:
    def connect(signer=tls.SIGNER, scheme="grpc+tls") -> flight.FlightClient:
        options = {"tls_root_certs": signer.certificate} if scheme == "grpc+tls" else {}
        return flight.FlightClient(f"{scheme}://127.0.0.1:{service.port}", **options)

    return connect


def session(client: flight.FlightClient) -> flight.FlightCallOptions:
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    return flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + token)], timeout=20)


def test_flight_speaks_tls_and_nothing_else(service, connect, files):
    client = connect()
    info = client.get_flight_info(SQL, session(client))
    table = client.do_get(info.endpoints[0].ticket, session(client)).read_all()
    assert table.to_pylist() == [{"one": 1}]
    tls.assert_clear_text_is_refused(service.port)
    tls.assert_old_versions_are_refused(service.port)
    for other in (connect(tls.STRANGER), connect(scheme="grpc")):
        with pytest.raises(flight.FlightUnavailableError):
            other.get_flight_info(SQL, session(other))


def test_flight_serves_a_renewed_certificate_and_what_was_asked_for_before(
    service, connect, files, tmp_path
):
    before = connect()
    info = before.get_flight_info(SQL, session(before))
    renewed = write_certificate(tmp_path)
    wait_until(lambda: tls.serves(service.port, renewed.certificate), RENEWAL_S)
    client = connect()
    table = client.do_get(info.endpoints[0].ticket, session(client)).read_all()
    assert table.to_pylist() == [{"one": 1}]


def test_flight_keeps_the_old_certificate_while_the_new_one_is_half_written(
    service, connect, files, tmp_path
):
    files.certificate.write_text("-----BEGIN CERT")
    client = connect()
    assert client.get_flight_info(SQL, session(client)).endpoints
    renewed = write_certificate(tmp_path)
    wait_until(lambda: tls.serves(service.port, renewed.certificate), RENEWAL_S)


def test_rest_of_the_process_speaks_tls(run, files):
    process = run(tls=files.config())
    line = process.stderr.readline()
    port = int(line.split("', ")[1].split(")")[0])
    url, verify = f"https://127.0.0.1:{port}/apiv2/server_status", tls.trusting(tls.SIGNER)
    assert httpx.get(url, verify=verify).json() == "OK"
    tls.assert_clear_text_is_refused(port)
    process.terminate()
    assert process.wait(timeout=30) == 0


@pytest.fixture
def text_url(files: CertificateFiles) -> Iterator[str]:
    """A text behind https."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/text", answer, methods=["GET", "HEAD"])])
    with serving(app, tls=files) as url:
        yield f"{url}/text"


@pytest.mark.parametrize(("signer", "trusted"), [(tls.SIGNER, True), (tls.STRANGER, False)])
def test_stores_are_verified_by_the_authorities_of_the_environment(
    tmp_path, monkeypatch, text_url, signer, trusted
):
    ca_file = tmp_path / "trusted.crt"
    ca_file.write_text(signer.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    duck = Duck(tmp_path / "scratch", None, None)
    query = f"SELECT content FROM read_text('{text_url}')"
    if trusted:
        assert duck.run(query) == [("hello",)]
    else:
        with pytest.raises(EngineError, match="certificate"):
            duck.run(query)
    duck.close()
