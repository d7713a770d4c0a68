"""Dremio raw reflection: a copy of some columns of a dataset, sorted and partitioned."""

from typing import Final

from dynamic_providers.dremio import reflection

KIND: Final = "dremio/RawReflection"
REPLACE_ON = reflection.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

_RAW = reflection.Reflection(
    type="RAW", fields={"displayFields": reflection.names}, required=("displayFields",)
)
normalize = _RAW.normalize
natural_key = _RAW.natural_key
create = _RAW.create
read = _RAW.read
update = _RAW.update
delete = _RAW.delete
