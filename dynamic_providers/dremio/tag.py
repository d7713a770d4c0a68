"""Dremio tags: the labels of one catalog object, all of them."""

from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.dremio import note

KIND: Final = "dremio/Tag"
REPLACE_ON = note.REPLACE_ON
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()


def _tags(value: Any, field: str) -> Any:
    tags = inputs.texts(value, field)
    return tags if inputs.is_unknown(tags) else sorted(set(tags))


_TAG = note.Note(kind="tag", field="tags", check=_tags, none=[])
normalize = _TAG.normalize
natural_key = _TAG.natural_key
create = _TAG.create
read = _TAG.read
update = _TAG.update
delete = _TAG.delete
