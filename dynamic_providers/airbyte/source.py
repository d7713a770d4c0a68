"""Airbyte source: a connector with its configuration."""

from typing import Final

from dynamic_providers.airbyte import actor

KIND: Final = "airbyte/Source"
REPLACE_ON = actor.REPLACE_ON
SECRETS = actor.SECRETS
COMPUTED: frozenset[str] = frozenset()

_ACTOR = actor.Actor(path="/sources", id_key="sourceId", type_key="sourceType")
normalize = _ACTOR.normalize
natural_key = _ACTOR.natural_key
create = _ACTOR.create
read = _ACTOR.read
update = _ACTOR.update
delete = _ACTOR.delete
marked_secrets = _ACTOR.marked_secrets
