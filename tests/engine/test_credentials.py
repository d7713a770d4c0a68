"""Every credential of the deployed stack is replaced while it runs. What the other modules do
after this one, they do with the new ones."""

import httpx
import psycopg
import pytest
import urllib3
from minio import Minio
from minio.error import S3Error

from dynamic_providers.credentials import derive
from dynamic_providers.endpoints import HOST, PORTS, port
from operations import clients
from services.elasticsearch.config import SUPERUSER
from tests.support import tls
from tests.support.deployed import Deployed
from tests.support.secret_scan import Places, secrets_of
from tls.authority import SECRET_NAME, authority, load

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]

LOGINS = {
    "airbyte-client",
    "dremio-admin",
    "elasticsearch-airbyte-logs",
    "elasticsearch-superuser",
    "minio-airbyte",
    "minio-root",
    "postgres-pipeline",
    "postgres-superuser",
    "superset-admin",
}


def accepted(deployed: Deployed, seed: str) -> set[str]:
    """Those of LOGINS whose value by `seed` is the right one."""
    return {name for name in LOGINS if _accepted(deployed, name, derive(seed, name))}


def _accepted(deployed: Deployed, name: str, password: str) -> bool:
    service, _, user = name.partition("-")
    if service == "postgres":
        own = {} if user == "superuser" else {"user": user, "dbname": user}
        login = {**clients.postgres(deployed.stack), "dbname": "postgres", **own}
        try:
            psycopg.connect(**{**login, "password": password}).close()
        except psycopg.OperationalError as fault:
            assert "password authentication failed" in str(fault)
            return False
        return True
    if service == "minio":
        store = Minio(
            f"{HOST}:{port('minio', deployed.offset)}",
            access_key=name if user == "root" else user,
            secret_key=password,
            http_client=urllib3.PoolManager(ca_certs=str(deployed.stack.ca_file)),
        )
        try:
            list(store.list_objects("datalake", prefix="bronze/"))
        except S3Error as fault:
            assert fault.code == "SignatureDoesNotMatch"
            return False
        return True
    with httpx.Client(
        base_url=deployed.url(service), verify=deployed.stack.trust, timeout=120
    ) as api:
        answer = _log_in(api, service, user, password)
    assert answer.status_code in (200, 401), answer.text
    return answer.is_success


def _log_in(api: httpx.Client, service: str, user: str, password: str) -> httpx.Response:
    if service == "elasticsearch":
        login = SUPERUSER if user == "superuser" else "airbyte_logs"
        return api.get("/_security/_authenticate", auth=(login, password))
    path, body = {
        "airbyte": (
            "/api/public/v1/applications/token",
            {"client_id": "dataflow", "client_secret": password},
        ),
        "dremio": ("/apiv2/login", {"userName": user, "password": password}),
        "superset": (
            "/api/v1/security/login",
            {"username": user, "password": password, "provider": "db"},
        ),
    }[service]
    return api.post(path, json=body)


def test_the_former_credentials_are_refused_and_the_new_ones_work(deployed):
    former, root = deployed.seed, deployed.stack.ca_file.read_text()
    decrypted = deployed.stack.answer("stack", "export", "--show-secrets")
    assert accepted(deployed, former) == LOGINS

    deployed.dataflow("rotate")
    deployed.seed = deployed.stack.seed()
    assert deployed.seed != former
    assert accepted(deployed, former) == set()
    assert accepted(deployed, deployed.seed) == LOGINS
    deployed.pulumi("preview", "--expect-no-changes")

    signer = authority(deployed.password(SECRET_NAME))
    assert deployed.stack.ca_file.read_text() == signer.certificate != root
    for service in PORTS:
        number = port(service, deployed.offset)
        served = tls.served(number, signer, postgresql=service == "postgres")
        assert signer.issued(load(served)), service

    places = Places(secrets_of(decrypted) | {"seed": former})
    places.text("what was printed", deployed.output)
    state = deployed.stack.paths.state / ".pulumi"
    places.files(path for path in state.rglob("*") if deployed.stack.name in str(path))
    places.files([deployed.stack.config_file])
    places.readable_files(deployed.stack.directory)
    places.files(deployed.stack.directory.rglob("*.log*"))
    assert not places.leaks
