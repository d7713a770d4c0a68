"""What a stack knows of its cluster, and what its namespaces are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.runtime.catalog import place


@dataclass(frozen=True, kw_only=True)
class Outside:
    """network: of its addresses, in CIDR notation: policies know no names."""

    url: str
    network: str


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """domain: services are published as <service>.<domain>.
    storage_class, gateway_class: "" for the cluster's own storage class.
    api_server: network of the API server in CIDR notation, for pods that work with it.
    issuer: ClusterIssuer of the Gateway's certificate.
    urls: service -> where it is reached instead.
    ca_file: where the machine that runs Pulumi gets the authority's certificate.
    outside: services that exist already, outside the cluster."""

    stack: str
    domain: str
    gateway_class: str
    issuer: str
    api_server: str
    storage_class: str = ""
    urls: Mapping[str, str]
    ca_file: Path
    outside: Mapping[str, Outside] = field(default_factory=dict)

    def namespace(self, layer: str) -> str:
        return f"dataflow-{self.stack}-{layer}"

    def namespace_of(self, name: str) -> str:
        """Of a service or job of the catalog."""
        return self.namespace(place(name).layer)
