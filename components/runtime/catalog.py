"""The services and jobs of a stack: the layer of each, and the ports that it listens on.

Known before anything is declared, because services name each other in both directions: the
pipeline calls Superset, which is declared after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamic_providers.endpoints import PORTS

STORAGE = "storage"
INGESTION = "ingestion"
PROCESSING = "processing"
PRESENTATION = "presentation"
OBSERVABILITY = "observability"
# Between coordinator and executors of Dremio: plans and rows, and control.
FABRIC_PORT, CONDUIT_PORT = DREMIO_PEERS = (45678, 45679)
# Of Airbyte's server: for the product's own parts, its connectors among them.
AIRBYTE_INNER_PORT = 8002
OBJECT_STORE = "minio"
BACKUP_STORE = "backup-store"  # never a service of the stack
LAYERS = (STORAGE, INGESTION, PROCESSING, PRESENTATION, OBSERVABILITY)


@dataclass(frozen=True, kw_only=True)
class Place:
    """layer: of the specification, which is also the network of the service.
    ports: name -> port. inner: names of those that only replicas of the service use.
    peers: ports on which parts of one product talk among themselves, and replicas of a service.
    within: a part of a product, which nobody but other services uses."""

    layer: str
    ports: Mapping[str, int] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    peers: tuple[int, ...] = ()
    within: bool = False

    @property
    def published(self) -> dict[str, int]:
        """The ports that users and the machine that runs Pulumi reach."""
        if self.within:
            return {}
        return {name: port for name, port in self.ports.items() if name not in self.inner}


PLACES: Mapping[str, Place] = {
    "minio": Place(
        layer=STORAGE,
        ports={"s3": PORTS["minio"], "console": PORTS["minio-console"]},
        peers=(PORTS["minio"],),
    ),
    "postgres": Place(
        layer=STORAGE,
        ports={"sql": PORTS["postgres"]},
        peers=(PORTS["postgres"], 8000),  # 8000: the state of an instance
    ),
    "elasticsearch": Place(
        layer=STORAGE,
        ports={"http": PORTS["elasticsearch"], "transport": PORTS["elasticsearch-transport"]},
        inner=("transport",),
        peers=(PORTS["elasticsearch-transport"],),
    ),
    "lake-backup": Place(layer=STORAGE),
    "lake-recovery": Place(layer=STORAGE),
    "shop-seed": Place(layer=INGESTION),
    "airbyte": Place(
        layer=INGESTION, ports={"api": PORTS["airbyte"]}, peers=(AIRBYTE_INNER_PORT,)
    ),
    "airbyte-bootloader": Place(layer=INGESTION, within=True),
    "airbyte-connector": Place(layer=INGESTION, within=True),
    "airbyte-cron": Place(layer=INGESTION, within=True),
    "airbyte-temporal": Place(layer=INGESTION, ports={"frontend": 7233}, within=True),
    "airbyte-temporal-namespace": Place(layer=INGESTION, within=True),
    "airbyte-temporal-schema": Place(layer=INGESTION, within=True),
    "airbyte-worker": Place(layer=INGESTION, within=True),
    "airbyte-workload-api": Place(layer=INGESTION, ports={"http": 8007}, within=True),
    "airbyte-workload-launcher": Place(layer=INGESTION, within=True),
    "dremio": Place(
        layer=PROCESSING,
        ports={"rest": PORTS["dremio"], "flight": PORTS["dremio-flight"]},
        peers=DREMIO_PEERS,
    ),
    "zookeeper": Place(layer=PROCESSING, ports={"client": 2181}, within=True),
    "dremio-executor": Place(layer=PROCESSING, peers=DREMIO_PEERS, within=True),
    "dbt-build": Place(layer=PROCESSING),
    "pipeline": Place(layer=PROCESSING, ports={"metrics": PORTS["pipeline"]}),
    "superset-cache": Place(layer=PRESENTATION, ports={"redis": 6379}, within=True),
    "superset-worker": Place(layer=PRESENTATION, within=True),
    "superset-beat": Place(layer=PRESENTATION, within=True),
    "superset": Place(layer=PRESENTATION, ports={"http": PORTS["superset"]}),
    "prometheus": Place(layer=OBSERVABILITY, ports={"http": PORTS["prometheus"]}),
}


def place(name: str) -> Place:
    """Raises ValueError for a service or job that is not in the catalog."""
    if name not in PLACES:
        raise ValueError(f"service or job {name!r}: expected one of {', '.join(PLACES)}")
    return PLACES[name]
