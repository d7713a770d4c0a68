"""Prometheus as the stacks run it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from services.prometheus import config
from services.prometheus.config import Scrape
from tests.services.running import installed, wait_until
from tests.support.ports import free_ports


def scrape(**more):
    return Scrape(**{"job": "one", "targets": ("127.0.0.1:1",), **more})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"targets": ()}, "at least one host:port target"),
        ({"username": "u"}, "username and password_file go together"),
        ({"password_file": Path("/p")}, "username and password_file go together"),
        (
            {"username": "u", "password_file": Path("/p"), "bearer_token_file": Path("/t")},
            "a token or a user, not both",
        ),
    ],
)
def test_a_wrong_scrape_job_is_refused(wrong, message):
    with pytest.raises(ValueError, match=f"scrape job 'one': .*{message}"):
        scrape(**wrong)


def test_a_job_name_that_is_used_twice_is_refused():
    with pytest.raises(ValueError, match="'one': the name is used twice"):
        config.files(scrapes=[scrape(), scrape()], interval_s=15)


class Target(BaseHTTPRequestHandler):
    """Serves one metric at /metrics to whoever sends the header that the server asks for."""

    def do_GET(self):
        allowed = self.headers.get("Authorization") == self.server.authorization
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if allowed:
            self.wfile.write(b"rows_synced 42\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    servers = []

    def serve(authorization):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
        server.authorization = authorization
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.service
def test_targets_are_read_with_the_credentials_that_each_asks_for(paths, make_place, serve):
    home = installed(paths.opt / "prometheus")
    place = make_place("prometheus")
    token = place.write("token", "t0ken")
    password = place.write("password", "open sesame")
    scrapes = [
        scrape(job="open", targets=(serve(None),)),
        scrape(job="token", targets=(serve("Bearer t0ken"),), bearer_token_file=token),
        scrape(
            job="user",
            targets=(serve("Basic dTpvcGVuIHNlc2FtZQ=="),),
            username="u",
            password_file=password,
        ),
        scrape(job="refused", targets=(serve("Bearer another"),), bearer_token_file=token),
    ]
    for name, text in config.files(scrapes=scrapes, interval_s=1).items():
        place.write(name, text)
    (port,) = free_ports(1)
    command = config.command(
        home=home, config_dir=place.config, data_dir=place.data, port=port, retention_days=1
    )
    url = f"http://127.0.0.1:{port}"

    def result(query):
        found = httpx.get(f"{url}/api/v1/query", params={"query": query}).json()["data"]["result"]
        return {sample["metric"]["job"]: sample["value"][1] for sample in found}

    with place.running(command, lambda: httpx.get(f"{url}/-/ready").is_success):
        wait_until(lambda: len(result("up")) == 4, 30)
        assert result("up") == {"open": "1", "token": "1", "user": "1", "refused": "0"}
        assert result("rows_synced") == {"open": "42", "token": "42", "user": "42"}
