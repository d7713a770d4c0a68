"""How many rows each layer holds."""

from dataclasses import dataclass

from dynamic_providers.dremio.client import DremioClient
from flow.model import Layer
from pipeline import clients
from pipeline.config import Config
from pipeline.dremio import FAULTS, quoted
from pipeline.progress import StepError

SPACES = ", ".join(f"'{layer}'" for layer in Layer)
LISTING = f"""
    SELECT TABLE_SCHEMA AS layer, TABLE_NAME AS dataset
    FROM INFORMATION_SCHEMA."TABLES"
    WHERE TABLE_SCHEMA IN ({SPACES})
"""  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class DatasetRows:
    """rows: None when the dataset cannot be read, for the reason in `fault`."""

    layer: str
    dataset: str
    rows: int | None
    fault: str = ""


def row_counts(config: Config) -> list[DatasetRows]:
    """Rows of each dataset in the spaces bronze, silver and gold, in that order.

    Raises StepError when Dremio does not answer.
    """
    client = clients.dremio(config.dremio)
    try:
        return counted(client)
    except FAULTS as fault:
        raise StepError(str(fault), "Is Dremio running? See `make status`.") from None
    finally:
        client.close()


def counted(client: DremioClient) -> list[DatasetRows]:
    """Raises ApiError, WorkFailedError, OSError when Dremio does not answer."""
    listed = client.rows(LISTING)
    found = sorted((Layer(row["layer"]).rank, row["dataset"]) for row in listed)
    return [_count(client, list(Layer)[rank], dataset) for rank, dataset in found]


def _count(client: DremioClient, layer: Layer, dataset: str) -> DatasetRows:
    query = f"SELECT COUNT(*) AS row_count FROM {quoted((layer, dataset))}"  # noqa: S608
    try:
        rows = int(client.rows(query)[0]["row_count"])
    except FAULTS as fault:
        return DatasetRows(layer=layer, dataset=dataset, rows=None, fault=str(fault))
    return DatasetRows(layer=layer, dataset=dataset, rows=rows)
