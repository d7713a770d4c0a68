"""Quartz cron expressions under Airbyte's rules.

http://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")  # Quartz: SUN is 1
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("seconds", 0, 59, ()),
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 1, 7, DAYS),
    ("year", 1970, 2099, ()),
)
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True)
class Cron:
    """Allowed values per field, UTC. last_day: `L` in day of month."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None  # None: `?`
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]
    last_day: bool

    def matches(self, moment: datetime) -> bool:
        at = moment.astimezone(UTC)
        return (
            at.second in self.seconds
            and at.minute in self.minutes
            and at.hour in self.hours
            and at.month in self.months
            and at.year in self.years
            and self._day_matches(at)
        )

    def _day_matches(self, at: datetime) -> bool:
        if self.last_day:
            return at.day == calendar.monthrange(at.year, at.month)[1]
        if self.days is not None:
            return at.day in self.days
        return self.weekdays is None or at.isoweekday() % 7 + 1 in self.weekdays


def canonical(expression: str) -> str:
    """The expression without a trailing UTC. Raises ValueError as the public API does a 400."""
    words = expression.split()
    if words and re.fullmatch(r"[A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)?", words[-1]) and len(words) > 6:
        zone = words[-1]
        if zone.upper() == "UTC":
            words.pop()
        elif zone.upper() not in DAYS:
            raise ValueError(
                f"cronExpression {expression!r}: time zone {zone}: expected UTC or none "
                "(zones need the Config API)"
            )
    text = " ".join(words)
    parse(text)
    return text


def parse(expression: str) -> Cron:
    """Raises ValueError naming the field."""
    words = expression.split()
    if len(words) not in (6, 7):
        raise ValueError(f"cronExpression {expression!r}: expected 6 or 7 fields, seconds first")
    fixed = 1 if len(words) == 6 else 2
    for (name, *_), word in zip(FIELDS[:fixed], words, strict=False):
        if not word.isdigit():
            raise ValueError(
                f"cronExpression {expression!r}: {name} {word!r}: expected an integer"
            )
    if (words[3] == "?") == (words[5] == "?"):
        raise ValueError(
            f"cronExpression {expression!r}: expected '?' in exactly one of "
            "day of month and day of week"
        )
    words += ["*"] * (7 - len(words))
    last_day = words[3] == "L"
    sets = [
        None if word == "?" or (index == 3 and last_day) else _values(expression, index, word)
        for index, word in enumerate(words)
    ]
    return Cron(
        seconds=sets[0] or frozenset(),
        minutes=sets[1] or frozenset(),
        hours=sets[2] or frozenset(),
        days=sets[3],
        months=sets[4] or frozenset(),
        weekdays=sets[5],
        years=sets[6] or frozenset(),
        last_day=last_day,
    )


def _values(expression: str, index: int, word: str) -> frozenset[int]:
    name, low, high, names = FIELDS[index]
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match[1] == "*" and match[2]) or match[3] == "0":
            raise ValueError(f"cronExpression {expression!r}: {name} {part!r}: not understood")
        start = low if match[1] == "*" else _number(expression, index, match[1])
        open_end = match[1] == "*" or match[3] is not None
        end = _number(expression, index, match[2]) if match[2] else (high if open_end else start)
        span = (
            range(start, end + 1)
            if start <= end
            else [*range(start, high + 1), *range(low, end + 1)]
        )
        found.update(list(span)[:: int(match[3] or 1)])
    return frozenset(found)


def _number(expression: str, index: int, word: str) -> int:
    name, low, high, names = FIELDS[index]
    if word.upper() in names:
        return names.index(word.upper()) + low
    if word.isdigit() and low <= int(word) <= high:
        return int(word)
    choices = f"{low} to {high}" + (f" or {names[0]} to {names[-1]}" if names else "")
    raise ValueError(f"cronExpression {expression!r}: {name} {word!r}: expected {choices}")
