"""Where the services of a stack listen."""

from collections.abc import Mapping

HOST = "127.0.0.1"

# Specification, wherever it names a port; the products' defaults otherwise.
PORTS: Mapping[str, int] = {
    "airbyte": 8001,
    "dremio": 9047,
    "dremio-flight": 32010,
    "elasticsearch": 9200,
    "elasticsearch-transport": 9300,
    "minio": 9000,
    "minio-console": 9001,
    "pipeline": 9108,
    "postgres": 5432,
    "prometheus": 9090,
    "superset": 8088,
}


def port(service: str, offset: int = 0) -> int:
    return PORTS[service] + offset


def url(service: str, offset: int = 0, scheme: str = "https") -> str:
    return f"{scheme}://{HOST}:{port(service, offset)}"
