"""Dremio aggregation reflection: measures of a dataset, grouped by dimensions.

COUNT(*) is always in it, and AVG is answered from SUM and COUNT.
"""

from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.dremio import reflection
from dynamic_providers.handler import Props

KIND: Final = "dremio/AggregationReflection"
REPLACE_ON = reflection.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

GRANULARITIES = ("DATE", "NORMAL")
MEASURES = ("SUM", "COUNT", "MIN", "MAX", "APPROX_COUNT_DISTINCT")


def _dimensions(value: Any, field: str) -> Any:
    found = reflection.objects(value, field, _dimension, ("granularity",))
    return reflection.sorted_by_name(found)


def _dimension(item: Props, at: str) -> Props:
    granularity = item.get("granularity", "DATE")  # what the server makes of none
    inputs.one_of(granularity, GRANULARITIES, f"{at}.granularity")
    return {**item, "granularity": granularity}


def _measures(value: Any, field: str) -> Any:
    found = reflection.objects(value, field, _measure, ("measureTypeList",))
    return reflection.sorted_by_name(found)


def _measure(item: Props, at: str) -> Props:
    types = inputs.texts(item.get("measureTypeList", []), f"{at}.measureTypeList", empty=True)
    if inputs.is_unknown(types):
        return item
    for type_ in types:
        inputs.one_of(type_, MEASURES, f"{at}.measureTypeList")
    # Left out, the server takes SUM and COUNT of numbers and COUNT of the rest.
    return {**item, "measureTypeList": sorted(set(types))} if types else {"name": item["name"]}


_AGGREGATION = reflection.Reflection(
    type="AGGREGATION",
    fields={"dimensionFields": _dimensions, "measureFields": _measures},
    required=("dimensionFields",),
)
normalize = _AGGREGATION.normalize
natural_key = _AGGREGATION.natural_key
create = _AGGREGATION.create
read = _AGGREGATION.read
update = _AGGREGATION.update
delete = _AGGREGATION.delete
