"""Dremio's date format models (`YYYY-MM-DD HH24:MI:SS.FFF`) as strftime formats."""

import re

from embedded.dremio.errors import EngineError, Kind

# Longest first: DDD before DD before D.
_ELEMENTS = {
    "MONTH": "%B",
    "YYYY": "%Y",
    "HH24": "%H",
    "HH12": "%I",
    "FFF": "%g",  # milliseconds
    "MON": "%b",
    "DDD": "%j",
    "DAY": "%A",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "DY": "%a",
    "HH": "%I",
    "MI": "%M",
    "SS": "%S",
    "AM": "%p",
    "PM": "%p",
    "WW": "%V",
}
_TOKEN = re.compile('"([^"]*)"|(' + "|".join(_ELEMENTS) + r")|([^A-Za-z\"])|(.)", re.IGNORECASE)


def strftime(model: str) -> str:
    """Raises EngineError for an element that is not covered. Case does not matter."""
    out: list[str] = []
    for quoted, element, plain, unknown in _TOKEN.findall(model):
        if unknown:
            raise EngineError(
                Kind.FUNCTION, f"Invalid date format string '{model}' at position of '{unknown}'"
            )
        text = quoted or plain
        out.append(_ELEMENTS[element.upper()] if element else text.replace("%", "%%"))
    return "".join(out)
