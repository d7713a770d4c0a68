"""Where the clients of a stack connect to, and as whom."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dynamic_providers.airbyte.resources import AirbyteProvider
from dynamic_providers.api import ApiError
from dynamic_providers.credentials import derive
from dynamic_providers.dremio import first_user
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.dremio.resources import DremioProvider
from dynamic_providers.endpoints import PORTS
from dynamic_providers.stack import ConfigError, Stack
from dynamic_providers.superset.resources import SupersetProvider
from tests.fakes.dremio import Dremio
from tests.fakes.serving import serving
from tls.authority import SECRET_NAME, authority
from tls.files import KeyPair

SEED = "a seed of this test"


def test_services_of_the_stack_are_at_its_ports_with_derived_credentials():
    stack = Stack({"dataflow:seed": SEED, "dataflow:portOffset": "100"})
    assert stack.url("dremio") == "https://127.0.0.1:9147"
    assert stack.login("dremio", "admin", "dremio-admin") == (
        "admin",
        derive(SEED, "dremio-admin"),
    )


def test_a_service_elsewhere_has_its_own_address_and_login():
    stack = Stack(
        {
            "dremio:url": "https://dremio.example.com/",
            "dremio:user": "deployer",
            "dremio:password": "given by hand",
        }
    )
    assert stack.url("dremio") == "https://dremio.example.com"
    assert stack.login("dremio", "admin", "dremio-admin") == ("deployer", "given by hand")
    assert stack.url("airbyte") == "https://127.0.0.1:8001"


def test_a_stack_below_a_domain_is_published_there():
    stack = Stack({"dataflow:domain": "dataflow.example.com", "dremio:url": "http://here:1"})
    assert stack.url("airbyte") == "https://airbyte.dataflow.example.com"
    assert stack.trust("airbyte") is True
    assert stack.url("dremio") == "http://here:1"


def test_an_object_store_of_ones_own_is_where_the_settings_say():
    stack = Stack(
        {
            "dataflow:domain": "dataflow.example.com",
            "dataflow:objectStoreEndpoint": "https://s3.example.com",
            "minio:user": "key",
            "minio:password": "secret",
        }
    )
    assert stack.url("minio") == "https://s3.example.com"
    assert stack.login("minio", "minio-root", "minio-root") == ("key", "secret")
    assert stack.url("dremio") == "https://dremio.dataflow.example.com"


def test_without_a_password_or_a_seed_the_missing_setting_is_named():
    with pytest.raises(ConfigError, match="dataflow:seed: not set"):
        Stack({"dremio:url": "https://dremio.example.com"}).login("dremio", "admin", "x")


@pytest.mark.parametrize(
    ("provider", "service"),
    [
        (AirbyteProvider, "airbyte"),
        (DremioProvider, "dremio"),
        (SupersetProvider, "superset"),
    ],
)
def test_every_client_connects_there(provider, service):
    config = {
        f"{service}:url": "https://elsewhere.example.com",
        f"{service}:user": "deployer",
        f"{service}:password": "given by hand",
    }
    client = provider.connect(Stack(config))
    api = getattr(client, "api", client)
    assert str(api._http.base_url).startswith("https://elsewhere.example.com")


@pytest.fixture
def answering(tmp_path) -> Iterator[str]:
    """A service of the stack whose seed is SEED, and its address."""
    signer = authority(derive(SEED, SECRET_NAME))
    issued = signer.issue("dremio", ["127.0.0.1"], now=datetime.now(UTC), days=90)
    pair = KeyPair(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    pair.certificate.write_text(issued.certificate)
    pair.key.write_text(issued.key)
    with serving(Dremio().app, tls=pair) as url:
        yield url


def client_of(url: str, config: dict[str, str]) -> DremioClient:
    offset = int(url.rpartition(":")[2]) - PORTS["dremio"]
    return DremioProvider.connect(Stack({**config, "dataflow:portOffset": str(offset)}))


def test_a_service_of_the_stack_is_verified_by_the_stacks_authority(answering):
    assert answering.startswith("https://")
    client = client_of(answering, {"dataflow:seed": SEED})
    first_user.create(client, first_user.normalize({}))
    assert client.by_path(["nothing"]) is None


def test_a_service_of_another_authority_is_not_spoken_to(answering):
    client = client_of(answering, {"dataflow:seed": "another seed"})
    client.api._retry_deadline_s = 0
    with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        client.by_path(["nothing"])


@pytest.mark.parametrize("key", ["dataflow:nextSeed", "dataflow:formerSeed"])
def test_while_seeds_change_a_service_of_either_is_verified(answering, key):
    client = client_of(answering, {"dataflow:seed": "another seed", key: SEED})
    first_user.create(client, first_user.normalize({}))


def test_a_service_elsewhere_is_verified_by_the_authorities_of_this_machine(answering):
    client = client_of(answering, {"dataflow:seed": SEED, "dremio:url": answering})
    client.api._retry_deadline_s = 0
    with pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        client.by_path(["nothing"])
