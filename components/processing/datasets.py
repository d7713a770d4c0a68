"""Bronze datasets: the files of each stream as a table, under a short name.

Creates per stream a physical dataset over its folder (`lake.bronze.postgres.customers`) and a
view in the bronze space (`bronze.customers`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.options import child_of
from dynamic_providers.dremio.resources import PhysicalDataset, View
from flow.derive import bronze_view, dremio_format, physical_dataset
from flow.model import DataFlow


@dataclass(frozen=True, kw_only=True)
class DatasetsArgs:
    """files: source name -> the resource after which bronze holds its files."""

    flow: DataFlow
    files: Mapping[str, pulumi.Resource]
    depends_on: Sequence[pulumi.Resource]


class Datasets(pulumi.ComponentResource):
    views: dict[str, View]  # dataset name -> its view in bronze

    def __init__(
        self, name: str, args: DatasetsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:processing:Datasets", name, None, opts)
        sources = {source.name: source for source in args.flow.sources}
        self.views = {}
        for stream in args.flow.streams:
            path = physical_dataset(stream)
            dataset = PhysicalDataset(
                f"{name}-{stream.source}-{stream.name}",
                path=path,
                format={"type": dremio_format(sources[stream.source])},
                # dbt's views over it are in no state: they must not keep a stack from its end.
                allow_break_views=True,
                opts=child_of(self, depends_on=[*args.depends_on, args.files[stream.source]]),
            )
            self.views[stream.dataset] = View(
                f"{name}-bronze-{stream.dataset}",
                path=bronze_view(stream),
                sql=_select_all(path),
                allow_break_views=True,
                opts=child_of(self, depends_on=[dataset]),
            )
        self.register_outputs({"bronze": sorted(self.views)})


def _select_all(path: Sequence[str]) -> str:
    table = ".".join(f'"{part}"' for part in path)
    return f"SELECT * FROM {table}"  # noqa: S608 - names from the flow, which checks them
