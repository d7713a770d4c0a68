"""Reflections of the flow: stored results that make queries fast."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.options import child_of
from dynamic_providers.dremio import resources as dremio
from flow.model import AggregationReflection, DataFlow, RawReflection


@dataclass(frozen=True, kw_only=True)
class ReflectionsArgs:
    """depends_on: what creates the datasets that the reflections are made of."""

    flow: DataFlow
    depends_on: Sequence[pulumi.Resource]


class Reflections(pulumi.ComponentResource):
    def __init__(
        self, name: str, args: ReflectionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:processing:Reflections", name, None, opts)
        options = child_of(self, depends_on=args.depends_on)
        for reflection in args.flow.reflections:
            _declare(f"{name}-{reflection.name}", reflection, options)
        self.register_outputs({"names": sorted(r.name for r in args.flow.reflections)})


def _declare(
    name: str,
    reflection: RawReflection | AggregationReflection,
    options: pulumi.ResourceOptions,
) -> pulumi.Resource:
    path = reflection.dataset.split(".")
    if isinstance(reflection, RawReflection):
        return dremio.RawReflection(
            name,
            name=reflection.name,
            dataset_path=path,
            display_fields=list(reflection.display),
            opts=options,
        )
    return dremio.AggregationReflection(
        name,
        name=reflection.name,
        dataset_path=path,
        dimension_fields=[
            {"name": column, "granularity": "DATE"} for column in reflection.dimensions
        ],
        measure_fields=[
            {"name": column, "measureTypeList": [measure.value for measure in measures]}
            for column, measures in reflection.measures.items()
        ],
        opts=options,
    )
