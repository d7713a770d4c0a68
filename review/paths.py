"""Property paths as the engine writes them: `a.b[0]["c.d"]`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final


class _Absent:
    """No value, which is not the same as null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
_PART = re.compile(
    r'\.?(?P<name>[^.\["]+)|\[(?P<index>\d+)\]|\.?\["(?P<quoted>(?:[^"\\]|\\.)*)"\]'
)


def parse(path: str) -> tuple[str | int, ...]:
    """`streams[0].syncMode` -> ("streams", 0, "syncMode"). What cannot be read stays whole."""
    keys: list[str | int] = []
    at = 0
    while at < len(path):
        found = _PART.match(path, at)
        if not found:
            return (path,)
        if found["index"] is not None:
            keys.append(int(found["index"]))
        elif found["quoted"] is not None:
            keys.append(found["quoted"].replace('\\"', '"').replace("\\\\", "\\"))
        else:
            keys.append(found["name"])
        at = found.end()
    return tuple(keys)


def value_at(value: Any, keys: Sequence[str | int]) -> Any:
    """ABSENT when there is nothing at that place."""
    for key in keys:
        if isinstance(key, str) and isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(key, int) and isinstance(value, list) and key < len(value):
            value = value[key]
        else:
            return ABSENT
    return value
