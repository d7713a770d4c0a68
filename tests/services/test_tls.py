"""The services with a certificate: TLS 1.2 or newer, nothing else, and renewed while they run."""

import signal

import httpx
import psycopg
import pytest

from services.elasticsearch import config as elasticsearch
from services.elasticsearch.config import SUPERUSER
from services.postgresql import config as postgresql
from services.postgresql.ready import is_ready
from services.prometheus import config as prometheus
from tests.services.running import installed, wait_until
from tests.services_fixtures import MINIO_TLS
from tests.support import tls
from tests.support.ports import free_ports

pytestmark = pytest.mark.service
RELOAD_S = 60


def check_http(port: int, place, files, process, reload_signal=None, names=()) -> None:
    """A port over which HTTP is spoken, and its renewal."""
    assert tls.serves(port, files.certificate)
    tls.assert_clear_text_is_refused(port)
    tls.assert_strangers_are_not_trusted(port)
    tls.assert_old_versions_are_refused(port)
    renewed = tls.put_certificate(place, *names)
    assert not tls.serves(port, renewed.certificate) or reload_signal is None
    if reload_signal:
        process.send_signal(reload_signal)
    wait_until(lambda: tls.serves(port, renewed.certificate), RELOAD_S)
    assert process.poll() is None


def test_minio(secure_minio):
    server = secure_minio
    tls.assert_clear_text_is_refused(server.console)
    tls.assert_old_versions_are_refused(server.console)
    tls.served(server.console)
    check_http(
        *(server.port, server.place, server.certificate, server.process, signal.SIGHUP, MINIO_TLS)
    )
    wait_until(lambda: tls.serves(server.console, server.certificate.certificate), RELOAD_S)


def test_postgresql(paths, make_place):
    place, (port,) = make_place("postgresql"), free_ports(1)
    home = installed(paths.opt / "postgresql")
    files = tls.put_certificate(place)
    for name, text in postgresql.files(port=port, config_dir=place.config, tls=files).items():
        place.write(name, text)
    password_file, password = place.secret("superuser-password")
    place.init(postgresql.init(home=home, data_dir=place.data, password_file=password_file))
    command = postgresql.command(home=home, config_dir=place.config, data_dir=place.data)
    stranger = place.write("stranger.crt", tls.STRANGER.certificate)

    def connect(**changes):
        return psycopg.connect(
            **{
                "host": "127.0.0.1",
                "port": port,
                "user": postgresql.SUPERUSER,
                "password": password,
                "dbname": "postgres",
                "sslmode": "verify-full",
                "sslrootcert": str(files.ca),
                **changes,
            }
        )

    with place.running(command, lambda: is_ready(port)) as process:
        with connect() as db:
            row = db.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert row.fetchone() == (True, "TLSv1.3")
        with pytest.raises(psycopg.OperationalError, match="rejects connection .* no encryption"):
            connect(sslmode="disable")
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            connect(sslrootcert=str(stranger))
        tls.assert_old_versions_are_refused(port, postgresql=True)
        with connect() as open_before:
            renewed = tls.put_certificate(place)
            assert not tls.serves(port, renewed.certificate, postgresql=True)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: tls.serves(port, renewed.certificate, postgresql=True), RELOAD_S)
            assert open_before.execute("SELECT 1").fetchone() == (1,)


def test_prometheus(paths, make_place):
    place, (port,) = make_place("prometheus"), free_ports(1)
    files = tls.put_certificate(place)
    # It reads its own metrics, as a client that verifies.
    scrape = prometheus.Scrape(job="self", targets=(f"127.0.0.1:{port}",), ca_file=files.ca)
    for name, text in prometheus.files(scrapes=[scrape], interval_s=1, tls=files).items():
        place.write(name, text)
    command = prometheus.command(
        home=installed(paths.opt / "prometheus"),
        config_dir=place.config,
        data_dir=place.data,
        port=port,
        retention_days=1,
    )
    url, verify = f"https://127.0.0.1:{port}", tls.trusting(tls.SIGNER)

    def targets() -> list:
        answer = httpx.get(f"{url}/api/v1/targets", verify=verify).json()
        return [target["health"] for target in answer["data"]["activeTargets"]]

    with place.running(
        command, lambda: httpx.get(f"{url}/-/ready", verify=verify).is_success
    ) as process:
        wait_until(lambda: targets() == ["up"], RELOAD_S)
        check_http(port, place, files, process)


@pytest.mark.timeout(400)
def test_elasticsearch(paths, make_place):
    place, (port, transport) = make_place("elasticsearch"), free_ports(2)
    home = installed(paths.opt / "elasticsearch")
    certificate = tls.put_certificate(place)
    files = elasticsearch.files(
        http_port=port,
        transport_port=transport,
        data_dir=place.data,
        logs_dir=place.logs,
        heap="512m",
        tls=certificate,
    )
    for name, text in files.items():
        place.write(name, text)
    password_file, password = place.secret("superuser-password")
    env = elasticsearch.environment(config_dir=place.config, tmp_dir=place.tmp)
    place.init(
        elasticsearch.init(home=home, config_dir=place.config, password_file=password_file), env
    )
    verify = tls.trusting(tls.SIGNER)
    health = f"https://127.0.0.1:{port}/_cluster/health"
    with place.running(
        elasticsearch.command(home),
        lambda: httpx.get(health, auth=(SUPERUSER, password), verify=verify).is_success,
        env,
        timeout_s=300,
    ) as process:
        tls.served(transport)
        tls.assert_clear_text_is_refused(transport)
        tls.assert_old_versions_are_refused(transport)
        check_http(port, place, certificate, process)
