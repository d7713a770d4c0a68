"""The alerts of the stacks in a running Prometheus, on what real services tell."""

import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from components.observability import alerts
from pipeline.certificates import CertificateMetrics
from services.prometheus import config
from services.prometheus.config import Scrape
from tests.services.running import installed, wait_until
from tests.support.ports import free_ports
from tests.support.tls import SIGNER, handshaking, write_certificate
from tls.contexts import server_context


@pytest.fixture
def short_lived(tmp_path, monkeypatch):
    """Port of a service whose certificate ends in five days, and was not renewed."""
    files = write_certificate(tmp_path)
    issued = SIGNER.issue("test", ["127.0.0.1"], now=datetime.now(UTC), days=5)
    files.key.write_text(issued.key)
    files.certificate.write_text(issued.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with handshaking(server_context(files)) as port:
        yield port


@pytest.fixture
def pipeline(short_lived):
    """Address of a service that serves the pipeline's metric of that certificate."""
    registry = CollectorRegistry()
    registry.register(CertificateMetrics({"airbyte-api": f"https://127.0.0.1:{short_lived}"}))

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self):
            body = generate_latest(registry)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.service
def test_a_service_that_is_down_and_a_certificate_that_ends_are_told(paths, make_place, pipeline):
    home = installed(paths.opt / "prometheus")
    place = make_place("prometheus")
    (closed, port) = free_ports(2)
    scrapes = [
        Scrape(job="pipeline", targets=(pipeline,)),
        Scrape(job="dremio", targets=(f"127.0.0.1:{closed}",)),
    ]
    rules = alerts.files([scrape.job for scrape in scrapes], "small")
    (place.config / "rules").mkdir(mode=0o755)
    for name, text in config.files(scrapes=scrapes, interval_s=1, rules=rules).items():
        # At once: how long it must hold is not what this test is about.
        place.write(name, re.sub(r"for: \w+", "for: 0s", text))
    command = config.command(
        home=home, config_dir=place.config, data_dir=place.data, port=port, retention_days=1
    )
    url = f"http://127.0.0.1:{port}"

    def firing():
        found = httpx.get(f"{url}/api/v1/alerts").json()["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("service")): one["annotations"]
            for one in found
            if one["state"] == "firing"
        }

    expected = {("CertificateExpiresSoon", "airbyte-api"), ("ServiceDown", "dremio")}
    with place.running(command, lambda: httpx.get(f"{url}/-/ready").is_success):
        # Before the first scrape, what has not been asked counts as down too.
        wait_until(lambda: set(firing()) == expected, 60)
        [soon, _] = [firing()[key] for key in sorted(expected)]
        assert soon["summary"] == ("The certificate of airbyte-api ends in less than 21 days")
        assert soon["runbook_url"] == "docs/runbooks/certificate-expires-soon.md"
