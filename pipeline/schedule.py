"""Quartz cron expressions, in UTC.

http://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html
"""

import re
from datetime import UTC, datetime
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

TIMES_COMPARED = 100  # a week of a schedule that runs every two hours: nights and weekends too
_DAY_NUMBER = re.compile(r"(?<![#/\d])\d")


def quartz(expression: str, after: datetime | None = None) -> CronSim:
    """The times of a Quartz expression of six fields, seconds first, that follow `after` (now).

    cronsim has the same fields, but counts the days of the week from 0, and writes `*` where
    Quartz writes `?` in one of the two day fields. Raises CronSimError.
    """
    fields = expression.split()
    if len(fields) != 6:
        raise CronSimError("expected six fields, seconds first, such as '0 0 1 * * ?'")
    if (fields[3] == "?") == (fields[5] == "?"):
        raise CronSimError("expected ? in one of the two day fields (the fourth, the sixth)")
    fields[5] = _DAY_NUMBER.sub(_counted_from_zero, fields[5])
    return CronSim(
        " ".join("*" if field == "?" else field for field in fields), after or datetime.now(UTC)
    )


def next_time(expression: str, after: datetime) -> datetime:
    """First time strictly after `after`."""
    found: datetime = next(quartz(expression, after))
    return found


def longest_interval(expression: str, after: datetime) -> float:
    """Seconds between those two of the next times that are furthest apart."""
    times = list(islice(quartz(expression, after), TIMES_COMPARED))
    return max(
        ((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=0.0
    )


def _counted_from_zero(match: re.Match[str]) -> str:
    number = int(match.group())
    if not 1 <= number <= 7:
        raise CronSimError(f"day of week {number}: expected 1 (Sunday) to 7 (Saturday)")
    return str(number - 1)
