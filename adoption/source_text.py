"""A flow as Python source, in the form in which people write one (flow/commerce.py)."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from flow.model import DataFlow

WIDTH = 99
NAMES = (
    "AggregationReflection Chart Dashboard DataFlow FileFormat Layer Measure Model RawReflection "
    "Source Stream SyncMode"
).split()


def source_text(flow: DataFlow, title: str) -> str:
    """A module whose FLOW equals `flow`."""
    body = f"FLOW = {_text(flow, 0, len('FLOW = '))}\n"
    used = [name for name in NAMES if f"{name}(" in body or f"{name}." in body]
    imports = f"from flow.model import {', '.join(used)}"
    if len(imports) > WIDTH:
        imports = "from flow.model import (\n" + "".join(f"    {name},\n" for name in used) + ")"
    return f'"""{title}"""\n\n{imports}\n\n{body}'


def _text(value: Any, depth: int, taken: int) -> str:
    """taken: characters that stand before and after it on its line, beside the indent."""
    flat = _flat(value)
    if 4 * depth + taken + len(flat) + 1 <= WIDTH:
        return flat
    opening, items, closing = _parts(value)
    if not items:
        return flat
    inner = "    " * (depth + 1)
    lines = [f"{inner}{label}{_text(item, depth + 1, len(label))},\n" for label, item in items]
    return f"{opening}\n{''.join(lines)}{'    ' * depth}{closing}"


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Opening, labelled items and closing of a value that has parts."""
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(", _arguments(value), ")"
    if isinstance(value, Mapping):
        return "{", [(f"{key!r}: ", item) for key, item in value.items()], "}"
    if isinstance(value, tuple | list):
        brackets = "()" if isinstance(value, tuple) else "[]"
        return brackets[0], [("", item) for item in value], brackets[1]
    return "", [], ""


def _arguments(value: Any) -> list[tuple[str, Any]]:
    """The fields that differ from their defaults."""
    found = []
    for one in fields(value):
        item = getattr(value, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        implied = one.name == "dataset" and item == value.name
        if item != default and not implied:
            found.append((f"{one.name}=", item))
    return found


def _flat(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    opening, items, closing = _parts(value)
    if not opening:
        return _quoted(value) if isinstance(value, str) else repr(value)
    inside = ", ".join(f"{label}{_flat(item)}" for label, item in items)
    comma = "," if isinstance(value, tuple) and len(items) == 1 else ""
    return f"{opening}{inside}{comma}{closing}"


def _quoted(text: str) -> str:
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown
