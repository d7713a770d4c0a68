"""Dremio wiki: the description of one catalog object, in Markdown."""

from typing import Final

from dynamic_providers import inputs
from dynamic_providers.dremio import note

KIND: Final = "dremio/Wiki"
REPLACE_ON = note.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

_WIKI = note.Note(kind="wiki", field="text", check=inputs.text, none="")
normalize = _WIKI.normalize
natural_key = _WIKI.natural_key
create = _WIKI.create
read = _WIKI.read
update = _WIKI.update
delete = _WIKI.delete
