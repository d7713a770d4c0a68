"""Clients of the products, with the accounts that a pipeline's settings name.

Raise ConfigError where a password cannot be read.
"""

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio.client import DremioClient
from pipeline.config import AirbyteConfig, DremioConfig, secret


def airbyte(config: AirbyteConfig) -> AirbyteClient:
    password = secret(config.client_secret_file)
    return AirbyteClient(config.url, password, client_id=config.client_id)


def dremio(config: DremioConfig) -> DremioClient:
    return DremioClient(config.url, secret(config.password_file), user=config.username)
