"""Where services are reached, inside the cluster and from outside, and the names that their
certificates must therefore have."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import pulumi

from components.runtime.catalog import place
from components.runtime.containers import CA_FILE, TRUSTSTORE_FILE
from components.runtime.kubernetes.settings import ClusterSettings
from components.runtime.service import HTTP, SCHEMES, TLS_SCHEMES, Address, Endpoint

# program -> what its service is called in the cluster; every other has its own name.
HOSTS: Mapping[str, str] = {
    "postgres": "postgres-rw",
    "elasticsearch": "elasticsearch-es-http",
    "prometheus": "prometheus-operated",
}
# What else reaches the pods of a service.
MORE_HOSTS: Mapping[str, tuple[str, ...]] = {
    "minio": ("*.minio-members",),  # its servers each other
    "postgres": ("postgres-r", "postgres-ro"),  # replicas, of the operator
}
CLUSTER_DOMAINS = ("svc", "svc.cluster.local")
# service -> label of its port -> listener of the Gateway. What is not here stays inside: the
# metrics have no log-in, and MinIO's console is not needed for work.
ROUTES: Mapping[str, Mapping[str, str]] = {
    "airbyte": {"api": "https"},
    "dremio": {"rest": "https", "flight": "flight"},
    "elasticsearch": {"http": "https"},
    "minio": {"s3": "https"},
    "postgres": {"sql": "sql"},
    "superset": {"http": "https"},
}
HTTPS_PORT = 443
SECURE = {HTTP: "https", "grpc": "grpc+tls"}
# A forwarded port (kubectl port-forward) is verified too.
LOCAL_NAMES, LOCAL_ADDRESSES = ("localhost",), ("127.0.0.1",)
# Ports that the stack's authority does not certify: an operator's own does, or the product has no
# TLS between its parts, which meet nobody else.
NOT_CERTIFIED = frozenset(
    {
        ("airbyte-temporal", "frontend"),
        ("airbyte-workload-api", "http"),
        ("elasticsearch", "transport"),
        ("zookeeper", "client"),
    }
)


def host_of(service: str) -> str:
    """What it is called in its namespace."""
    return HOSTS.get(service, service)


def members(settings: ClusterSettings, service: str, replicas: int) -> tuple[str, ...]:
    domain = f"{service}-members.{settings.namespace_of(service)}.svc"
    return tuple(f"{service}-{number}.{domain}" for number in range(replicas))


def endpoint(
    settings: ClusterSettings,
    service: str,
    port: str,
    *,
    secure: bool,
    ca_file: pulumi.Output[str] | None,
) -> Endpoint:
    """secure: the stack has an authority. ca_file: its certificate on the machine that runs
    Pulumi."""
    if there := settings.outside.get(service):
        address = address_of(there.url)
        return Endpoint(
            host=address.host, port=address.port, scheme=address.scheme, published=address
        )
    certified = secure and (service, port) not in NOT_CERTIFIED
    scheme = SCHEMES.get(port, HTTP)
    inside = Address(
        host=f"{host_of(service)}.{settings.namespace_of(service)}.svc",
        port=place(service).ports[port],
        scheme=TLS_SCHEMES.get(scheme, scheme) if certified else scheme,
    )
    return Endpoint(
        host=inside.host,
        port=inside.port,
        scheme=inside.scheme,
        published=_published(settings, service, port) or inside,
        ca_file=CA_FILE if certified else None,
        truststore_file=TRUSTSTORE_FILE if certified else None,
        published_ca_file=ca_file if keeps_own_certificate(service, port) else None,
        public=public_address(service, port, settings.domain) if certified else None,
    )


def _published(settings: ClusterSettings, service: str, port: str) -> Address | None:
    name = service if port == next(iter(place(service).ports)) else f"{service}-{port}"
    if url := settings.urls.get(name):
        return address_of(url)
    return published_address(service, port, settings.domain)


def published_address(service: str, port: str, domain: str) -> Address | None:
    """None for a port that is not published."""
    listener = ROUTES.get(service, {}).get(port)
    if listener is None:
        return None
    scheme = SCHEMES.get(port, HTTP)
    number = HTTPS_PORT if listener == "https" else place(service).ports[port]
    return Address(host=f"{service}.{domain}", port=number, scheme=SECURE.get(scheme, scheme))


def keeps_own_certificate(service: str, port: str) -> bool:
    """Whether who comes through the Gateway meets the certificate of the service itself: TLS ends
    at the Gateway for all but PostgreSQL, whose protocol asks for it on its way."""
    return ROUTES.get(service, {}).get(port) == "sql"


def public_address(service: str, port: str, domain: str) -> Address | None:
    """None for a port that nobody meets with the Gateway's certificate."""
    if keeps_own_certificate(service, port):
        return None
    return published_address(service, port, domain)


def certified_names(settings: ClusterSettings, service: str) -> list[str]:
    """Every name by which it is reached, of those that the authority can certify."""
    namespace = settings.namespace_of(service)
    names = [host_of(service), *MORE_HOSTS.get(service, ())]
    inside = [f"{name}.{namespace}.{end}" for name in names for end in CLUSTER_DOMAINS]
    outside = [
        address.host
        for port in place(service).ports
        if keeps_own_certificate(service, port)
        and (address := published_address(service, port, settings.domain))
    ]
    return [*inside, *outside, *LOCAL_NAMES]


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80, "postgresql": 5432}.get(parts.scheme)
    port = parts.port or default
    if not parts.hostname or port is None:
        raise ValueError(f"{url!r}: expected scheme://host:port")
    return Address(host=parts.hostname, port=port, scheme=parts.scheme)
