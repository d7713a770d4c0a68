"""When a connection syncs: manual, Quartz cron, or every so many hours.

The public API takes manual and cron in UTC. Basic schedules and other time zones are set by the
Config API, and are only shown by the public one.
"""

import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from dynamic_providers import inputs
from dynamic_providers.handler import InputError, Props

MANUAL: Mapping[str, Any] = {"scheduleType": "manual"}
KEYS = {
    "manual": (),
    "cron": ("cronExpression", "cronTimeZone"),
    "basic": ("units", "timeUnit"),
}
TIME_UNITS = ("minutes", "hours", "days", "weeks", "months")
# Seconds to day of week, and perhaps the year; a zone does not fit.
QUARTZ = re.compile(r"([0-9A-Z*/,?#-]+ ){5}[0-9A-Z*/,?#-]+( [0-9*/,-]+)?")
BASIC_TIMING = re.compile(r"Every (\d+) (\w+)", re.IGNORECASE)


def normalize(raw: Any) -> Any:
    if inputs.is_unknown(raw):
        return raw
    every_key = [key for keys in KEYS.values() for key in keys]
    given = inputs.known_keys(
        inputs.mapping(raw, "schedule"), ("scheduleType",), every_key, at="schedule"
    )
    kind = inputs.one_of(given["scheduleType"], KEYS, "schedule.scheduleType")
    if inputs.is_unknown(kind):
        return given
    if kind == "manual":
        return dict(MANUAL)
    for key in given:
        if key != "scheduleType" and key not in KEYS[kind]:
            raise InputError(f"schedule.{key}", f"not used by a {kind} schedule")
    return _cron(given) if kind == "cron" else _basic(given)


def needs_config_api(schedule: Props) -> bool:
    return schedule["scheduleType"] == "basic" or "cronTimeZone" in schedule


def for_config_api(schedule: Props) -> Props:
    """scheduleType and scheduleData of the Config API."""
    if schedule["scheduleType"] == "basic":
        data = {"basicSchedule": {key: schedule[key] for key in ("timeUnit", "units")}}
    else:
        data = {"cron": {key: schedule[key] for key in ("cronExpression", "cronTimeZone")}}
    return {"scheduleType": schedule["scheduleType"], "scheduleData": data}


def shown(live: Mapping[str, Any] | None) -> Props:
    """The schedule as the public API shows it: a zone follows the expression, and the timing of
    a basic schedule is a sentence."""
    live = live or MANUAL
    kind = live.get("scheduleType") or "manual"
    if kind == "cron":
        words = str(live["cronExpression"]).split()
        zone = words.pop() if len(words) > 6 and words[-1][0].isalpha() else None
        found: Props = {"scheduleType": kind, "cronExpression": " ".join(words)}
        return {**found, "cronTimeZone": zone} if zone not in (None, "UTC") else found
    if kind == "basic" and (timing := BASIC_TIMING.match(str(live.get("basicTiming")))):
        return {"scheduleType": kind, "units": int(timing[1]), "timeUnit": timing[2].lower()}
    return {"scheduleType": kind}


def _basic(given: Props) -> Props:
    for key in KEYS["basic"]:
        if key not in given:
            raise InputError(f"schedule.{key}", "missing: a basic schedule needs it")
    inputs.whole(given["units"], "schedule.units", least=1)
    inputs.one_of(given["timeUnit"], TIME_UNITS, "schedule.timeUnit")
    return given


def _cron(given: Props) -> Props:
    if "cronExpression" not in given:
        raise InputError("schedule.cronExpression", "missing: a cron schedule needs one")
    expression = _quartz(given["cronExpression"])
    zone = given.get("cronTimeZone", "UTC")
    cron: Props = {"scheduleType": "cron", "cronExpression": expression}
    return cron if zone == "UTC" else {**cron, "cronTimeZone": _zone(zone)}


def _zone(zone: Any) -> Any:
    if inputs.is_unknown(zone):
        return zone
    try:
        ZoneInfo(inputs.text(zone, "schedule.cronTimeZone"))
    except (ValueError, OSError) as fault:  # ZoneInfoNotFoundError is a KeyError
        raise InputError("schedule.cronTimeZone", f"{zone!r}: {fault}") from None
    except KeyError:
        raise InputError(
            "schedule.cronTimeZone", f"{zone!r}: no such time zone; such as Europe/Rome"
        ) from None
    return zone


def _quartz(text: Any) -> str:
    """A Quartz expression without the zone, which the server appends to what it returns."""
    field = "schedule.cronExpression"
    expression = " ".join(inputs.text(text, field).split())
    if inputs.is_unknown(expression):
        return expression
    expression = re.sub(r" UTC$", "", expression)
    parts = expression.split(" ")
    if not QUARTZ.fullmatch(expression):
        raise InputError(
            field,
            f"{expression!r}: expected 6 or 7 fields (seconds first, Quartz), all in UTC, such as "
            "'0 0 1 * * ?'",
        )
    if not parts[0].isdigit():
        raise InputError(field, f"{expression!r}: the first field (second) must be a number")
    if (parts[3] == "?") == (parts[5] == "?"):
        raise InputError(
            field, f"{expression!r}: one of day of month (4th) and day of week (6th) must be ?"
        )
    return expression
