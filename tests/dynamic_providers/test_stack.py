"""Where the clients of a stack connect to, and as whom."""

import pytest

from dynamic_providers.airbyte.resources import AirbyteProvider
from dynamic_providers.credentials import derive
from dynamic_providers.dremio.resources import DremioProvider
from dynamic_providers.stack import ConfigError, Stack
from dynamic_providers.superset.resources import SupersetProvider

SEED = "a seed of this test"


def test_services_of_the_stack_are_at_its_ports_with_derived_credentials():
    stack = Stack({"dataflow:seed": SEED, "dataflow:portOffset": "100"})
    assert stack.url("dremio") == "http://127.0.0.1:9147"
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
    assert stack.url("airbyte") == "http://127.0.0.1:8001"


def test_a_stack_below_a_domain_is_published_there():
    stack = Stack({"dataflow:domain": "dataflow.example.com", "dremio:url": "http://here:1"})
    assert stack.url("airbyte") == "https://airbyte.dataflow.example.com"
    assert stack.trust("airbyte") is True
    assert stack.url("dremio") == "http://here:1"


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
