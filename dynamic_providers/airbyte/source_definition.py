"""Airbyte source definition: a custom source connector, as a container image."""

from typing import Final

from dynamic_providers.airbyte import definition

KIND: Final = "airbyte/SourceDefinition"
REPLACE_ON = definition.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

_DEFINITION = definition.Definition(kind="sources")
normalize = _DEFINITION.normalize
natural_key = _DEFINITION.natural_key
create = _DEFINITION.create
read = _DEFINITION.read
update = _DEFINITION.update
delete = _DEFINITION.delete
