"""Durations as the SDK writes them (`1m30s`) and as the engine counts them, in nanoseconds."""

import re
from decimal import Decimal

from dynamic_providers.handler import InputError

NANOSECONDS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "ns": 1,
}
PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")


def nanoseconds(text: str, at: str) -> int:
    parts = PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        if text == "0":
            return 0
        raise InputError(at, f"{text!r}: expected a duration such as 10s or 1m30s")
    return int(sum(Decimal(number) * NANOSECONDS[unit] for number, unit in parts))


def duration(count: int) -> str:
    """The canonical text: hours, minutes and seconds, the parts that are not zero."""
    if count % NANOSECONDS["s"]:
        unit = next(u for u in ("ms", "us", "ns") if count % NANOSECONDS[u] == 0)
        return f"{count // NANOSECONDS[unit]}{unit}"
    hours, rest = divmod(count // NANOSECONDS["s"], 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
