"""Real MinIO, PostgreSQL and Elasticsearch: one of each for a test session, on free ports; and a
second MinIO, which speaks TLS.

Tests ask for `minio_server`, `secure_minio`, `postgres_server` or `elasticsearch_server`; a server
starts when it is first asked for.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from services.elasticsearch import config as elasticsearch
from services.elasticsearch.ready import ready as elasticsearch_ready
from services.minio import config as minio
from services.postgresql import config as postgresql
from services.postgresql.ready import is_ready
from tests.services.running import Place, installed
from tests.support import tls
from tests.support.ports import free_ports
from tls.files import CertificateFiles
from tools.paths import Paths

SERVICE_USER = "dataflow"
HOST = "127.0.0.1"
MINIO_USER = "root-of-tests"
MINIO_TLS = (minio.CERTIFICATE_FILE, minio.KEY_FILE, minio.CA_FILE)
HEAP = "512m"
ELASTICSEARCH_START_S = 300  # 15 s alone, two minutes on a machine with other work


@dataclass(frozen=True, kw_only=True)
class Server:
    """One running service, its first, all-powerful account, and the file with its output."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    log: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@pytest.fixture(scope="session")
def service_place() -> Iterator[Callable[[str], Place]]:
    """name -> folders that belong to the services' user."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            account = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            pytest.skip(f"no user {SERVICE_USER!r}: it is made by `make bootstrap`")
        uid, gid = account.pw_uid, account.pw_gid
    # Not pytest's own folder: that one is closed to other users.
    root = Path(tempfile.mkdtemp(prefix="dataflow-session-"))
    root.chmod(0o755)
    yield lambda name: Place(root / name, uid, gid)
    shutil.rmtree(root)


def log(place: Place) -> Path:
    return place.logs / "output.log"


@pytest.fixture(scope="session")
def minio_server(service_place: Callable[[str], Place]) -> Iterator[Server]:
    place, (port, console) = service_place("minio"), free_ports(2)
    password_file, password = place.secret("root-password")
    command = minio.command(
        binary=installed(Paths.find().bin / "minio"),
        data_dir=place.data,
        port=port,
        console_port=console,
    )
    env = minio.environment(root_user=MINIO_USER, root_password_file=password_file)
    server = Server(host=HOST, port=port, user=MINIO_USER, password=password, log=log(place))
    with place.running(
        command, lambda: httpx.get(f"{server.url}/minio/health/ready").is_success, env
    ):
        yield server


@dataclass(frozen=True, kw_only=True)
class SecureMinio(Server):
    """certificate: of the server, by SIGNER."""

    console: int
    place: Place
    certificate: CertificateFiles
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"https://{self.address}"


@pytest.fixture(scope="session")
def secure_minio(service_place: Callable[[str], Place]) -> Iterator[SecureMinio]:
    place, (port, console) = service_place("secure-minio"), free_ports(2)
    files = tls.put_certificate(place, *MINIO_TLS)
    password_file, password = place.secret("root-password")
    command = minio.command(
        binary=installed(Paths.find().bin / "minio"),
        data_dir=place.data,
        port=port,
        console_port=console,
        certs_dir=files.certificate.parent,
    )
    env = minio.environment(root_user=MINIO_USER, root_password_file=password_file)
    asked = (f"https://{HOST}:{port}/minio/health/ready", f"https://{HOST}:{console}")
    verify = tls.trusting(tls.SIGNER)

    def ready() -> bool:  # the console opens its port after the API has answered
        return all(httpx.get(url, verify=verify).is_success for url in asked)

    with place.running(command, ready, env) as process:
        yield SecureMinio(
            host=HOST,
            port=port,
            user=MINIO_USER,
            password=password,
            log=log(place),
            console=console,
            place=place,
            certificate=files,
            process=process,
        )


@pytest.fixture(scope="session")
def postgres_server(service_place: Callable[[str], Place]) -> Iterator[Server]:
    with running_postgres(service_place("postgresql")) as server:
        yield server


@contextmanager
def running_postgres(place: Place, more_settings: str = "") -> Iterator[Server]:
    (port,) = free_ports(1)
    home = installed(Paths.find().opt / "postgresql")
    files = postgresql.files(port=port, config_dir=place.config)
    files["postgresql.conf"] += more_settings
    for name, text in files.items():
        place.write(name, text)
    password_file, password = place.secret("superuser-password")
    place.init(postgresql.init(home=home, data_dir=place.data, password_file=password_file))
    command = postgresql.command(home=home, config_dir=place.config, data_dir=place.data)
    with place.running(command, lambda: is_ready(port)):
        yield Server(
            host=HOST, port=port, user=postgresql.SUPERUSER, password=password, log=log(place)
        )


@pytest.fixture(scope="session")
def elasticsearch_server(service_place: Callable[[str], Place]) -> Iterator[Server]:
    place, (port, transport) = service_place("elasticsearch"), free_ports(2)
    home = installed(Paths.find().opt / "elasticsearch")
    files = elasticsearch.files(
        http_port=port,
        transport_port=transport,
        data_dir=place.data,
        logs_dir=place.logs,
        heap=HEAP,
    )
    files["elasticsearch.yml"] += f"path.repo: {place.tmp / 'snapshots'}\n"
    for name, text in files.items():
        place.write(name, text)
    password_file, password = place.secret("superuser-password")
    env = elasticsearch.environment(config_dir=place.config, tmp_dir=place.tmp)
    place.init(
        elasticsearch.init(home=home, config_dir=place.config, password_file=password_file), env
    )
    server = Server(
        host=HOST, port=port, user=elasticsearch.SUPERUSER, password=password, log=log(place)
    )
    with (
        httpx.Client(base_url=server.url, auth=(server.user, password), timeout=10) as superuser,
        place.running(
            elasticsearch.command(home),
            lambda: elasticsearch_ready(superuser, password),
            env,
            timeout_s=ELASTICSEARCH_START_S,
        ),
    ):
        yield server
