"""What a handler's client needs to know of its stack: secrets and addresses, without pulumi."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_providers import credentials, endpoints
from tls.authority import SECRET_NAME, Authority, authority

PORT_OFFSET_KEY = "dataflow:portOffset"
DOMAIN_KEY = "dataflow:domain"
OBJECT_STORE_KEY = "dataflow:objectStoreEndpoint"


class ConfigError(ValueError):
    """The stack configuration lacks a value, or holds a wrong one."""


@dataclass(frozen=True, repr=False)
class Stack:
    """The configuration of one stack, key (`dataflow:portOffset`) -> decrypted value.

    No repr: the seed must not reach a log.
    """

    config: Mapping[str, Any]

    def credential(self, name: str) -> str:
        """The secret called `name`, derived from the stack's seed. Raises ConfigError."""
        seed = self.config.get(credentials.SEED_KEY)
        if not seed:
            raise ConfigError(
                f"{credentials.SEED_KEY}: not set: expected a secret of 32 or more random "
                f"characters (pulumi config set --secret {credentials.SEED_KEY})"
            )
        return credentials.derive(str(seed), name)

    @property
    def authority(self) -> Authority:
        """What signs the certificates of the stack's services. Raises ConfigError."""
        others = (
            credentials.derive(str(seed), SECRET_NAME)
            for key in (credentials.NEXT_SEED_KEY, credentials.FORMER_SEED_KEY)
            if (seed := self.config.get(key))
        )
        domain = str(self.config.get(DOMAIN_KEY) or "")
        return authority(self.credential(SECRET_NAME), *others, domain=domain)

    def trust(self, service: str) -> ssl.SSLContext | bool:
        """How calls to a service are verified: by the stack's own authority, or for one that is
        reached elsewhere as this machine verifies the rest of the world."""
        if self._elsewhere(service) or self.config.get(DOMAIN_KEY):
            return True
        return ssl.create_default_context(cadata=self.authority.trusted)

    @property
    def port_offset(self) -> int:
        """Added to every port of the stack. Raises ConfigError."""
        value = self.config.get(PORT_OFFSET_KEY) or 0
        try:
            return int(float(value))
        except ValueError:
            raise ConfigError(f"{PORT_OFFSET_KEY}: {value!r}: expected a whole number") from None

    def url(self, service: str) -> str:
        """Root address of a service: `<service>:url` of the configuration for one that is reached
        elsewhere, `https://<service>.<domain>` for a stack that is published below a domain, else
        the address on this machine by endpoints.PORTS."""
        if foreign := self._elsewhere(service):
            return foreign.rstrip("/")
        if domain := self.config.get(DOMAIN_KEY):
            return f"https://{service}.{domain}"
        return endpoints.url(service, self.port_offset)

    def _elsewhere(self, service: str) -> str:
        """Where a service is that is no part of the stack, or is reached in another way."""
        own_store = self.config.get(OBJECT_STORE_KEY) if service == "minio" else None
        return str(self.config.get(f"{service}:url") or own_store or "")

    def login(self, service: str, user: str, credential: str) -> tuple[str, str]:
        """User and secret of a service: `<service>:user` and `<service>:password` of the
        configuration, else `user` with the derived credential. Raises ConfigError."""
        return (
            str(self.config.get(f"{service}:user") or user),
            str(self.config.get(f"{service}:password") or self.credential(credential)),
        )
