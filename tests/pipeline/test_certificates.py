"""The metric of the certificates that services serve."""

import socket
import ssl
from contextlib import ExitStack

import pytest

from pipeline.certificates import KEPT_S, CertificateMetrics
from tests.support import tls
from tests.support.tls import handshaking, write_certificate
from tls.authority import load
from tls.contexts import server_context


@pytest.fixture
def files(tmp_path, monkeypatch):
    made = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return made


@pytest.fixture
def serve(files):
    """Starts a server that does no more than the handshake; returns its port."""
    with ExitStack() as running:

        def start(postgresql: bool = False, context: ssl.SSLContext | None = None) -> int:
            served = handshaking(context or server_context(files), postgresql=postgresql)
            return running.enter_context(served)

        yield start


def values(metrics: CertificateMetrics) -> dict[str, float]:
    [gauge] = metrics.collect()
    assert gauge.name == "certificate_expiration_timestamp_seconds"
    return {sample.labels["service"]: sample.value for sample in gauge.samples}


def ends(files) -> float:
    return load(files.certificate.read_text()).not_valid_after_utc.timestamp()


def test_services_say_themselves_until_when_their_certificate_is_valid(files, serve):
    metrics = CertificateMetrics(
        {
            "airbyte-api": f"https://127.0.0.1:{serve()}",
            "postgres-sql": f"postgresql://127.0.0.1:{serve(postgresql=True)}",
        }
    )
    assert values(metrics) == pytest.approx(
        {"airbyte-api": ends(files), "postgres-sql": ends(files)}, abs=1
    )


def test_who_does_not_answer_or_is_not_trusted_is_unknown(files, serve, tmp_path):
    (tmp_path / "stranger").mkdir()
    foreign = write_certificate(tmp_path / "stranger")
    issued = tls.STRANGER.issue("x", ["127.0.0.1"], now=tls.datetime.now(tls.UTC), days=90)
    foreign.key.write_text(issued.key)
    foreign.certificate.write_text(issued.certificate)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
    metrics = CertificateMetrics(
        {
            "gone": f"https://127.0.0.1:{gone}",
            "stranger": f"https://127.0.0.1:{serve(context=server_context(foreign))}",
        }
    )
    assert values(metrics) == {"gone": -1.0, "stranger": -1.0}


def test_services_are_not_asked_at_every_scrape(files, serve):
    now = [0.0]
    address = f"https://127.0.0.1:{serve()}"
    metrics = CertificateMetrics({"airbyte-api": address}, clock=lambda: now[0])
    first = values(metrics)
    metrics._addresses["airbyte-api"] = "https://127.0.0.1:1"
    now[0] = KEPT_S - 1
    assert values(metrics) == first
    now[0] = KEPT_S
    assert values(metrics) == {"airbyte-api": -1.0}
