"""When reflections are refreshed and until when they may be used: set on tables and sources."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from embedded.dremio.catalog.sources import ACCELERATION, HOUR_MS
from embedded.dremio.errors import invalid

NEVER_MS = 4_102_444_800_000  # 2100-01-01: the product's "never expires"
POLICIES = ("PERIOD", "SCHEDULE", "NEVER")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """period_ms: None when only a schedule or a person refreshes. grace_ms: None never expires."""

    period_ms: int | None
    schedule: str | None
    grace_ms: int | None

    def due(self, last_ms: int) -> int | None:
        """When the refresh after the one at `last_ms` is due; None for never."""
        if self.schedule is not None:
            return next_run(self.schedule, last_ms)
        return last_ms + self.period_ms if self.period_ms else None

    def expires(self, refreshed_ms: int) -> int:
        return NEVER_MS if self.grace_ms is None else refreshed_ms + self.grace_ms


def of_source(body: Mapping[str, Any]) -> dict[str, Any]:
    """A source's settings in the shape of a table's accelerationRefreshPolicy."""
    return {
        "activePolicyType": body["accelerationActivePolicyType"],
        "refreshPeriodMs": body["accelerationRefreshPeriodMs"],
        "refreshSchedule": body["accelerationRefreshSchedule"],
        "gracePeriodMs": body["accelerationGracePeriodMs"],
        "method": "AUTO",
        "neverExpire": body["accelerationNeverExpire"],
        "neverRefresh": body["accelerationNeverRefresh"],
    }


def normalize(raw: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A table's accelerationRefreshPolicy, complete. Raises EngineError."""
    if not raw:
        return None
    policy = {
        "activePolicyType": raw.get("activePolicyType", "PERIOD"),
        "refreshPeriodMs": raw.get("refreshPeriodMs", HOUR_MS),
        "refreshSchedule": raw.get("refreshSchedule", ACCELERATION["accelerationRefreshSchedule"]),
        "gracePeriodMs": raw.get("gracePeriodMs", 3 * HOUR_MS),
        "method": raw.get("method", "AUTO"),
        "neverExpire": bool(raw.get("neverExpire", False)),
        "neverRefresh": bool(raw.get("neverRefresh", False)),
    }
    if policy["activePolicyType"] not in POLICIES:
        raise invalid(
            f"activePolicyType [{policy['activePolicyType']}]: "
            f"expected one of {', '.join(POLICIES)}"
        )
    for name in ("refreshPeriodMs", "gracePeriodMs"):
        value = policy[name]
        if not isinstance(value, int) or (0 < value < HOUR_MS) or value < 0:
            raise invalid(f"{name} [{value}]: must be at least 1 hour.")
    next_run(str(policy["refreshSchedule"]), 0)
    return policy


def combine(policies: Iterable[Mapping[str, Any]]) -> Policy:
    """The strictest of the policies of all tables behind a reflection."""
    periods: list[int] = []
    schedules: list[str] = []
    graces: list[int] = []
    for policy in policies:
        if not policy["neverRefresh"] and policy["activePolicyType"] == "PERIOD":
            periods.append(policy["refreshPeriodMs"])
        if not policy["neverRefresh"] and policy["activePolicyType"] == "SCHEDULE":
            schedules.append(policy["refreshSchedule"])
        if not policy["neverExpire"]:
            graces.append(policy["gracePeriodMs"])
    return Policy(
        period_ms=min((period for period in periods if period), default=None),
        schedule=schedules[0] if schedules and not periods else None,
        grace_ms=min((grace for grace in graces if grace), default=None),
    )


def next_run(schedule: str, after_ms: int) -> int:
    """ms since 1970 of the next run. The product takes `0 minute hour * * days-of-week` (UTC)."""
    fields = schedule.split()
    problem = invalid(
        f"refreshSchedule [{schedule}]: expected `0 minute hour * * *` or days of the week 1-7"
    )
    if len(fields) != 6 or fields[0] != "0" or fields[3] not in "*?" or fields[4] != "*":
        raise problem
    try:
        minute, hour = int(fields[1]), int(fields[2])
        days = set(range(7)) if fields[5] in "*?" else {int(d) % 7 for d in fields[5].split(",")}
        start = datetime.fromtimestamp(after_ms / 1000, UTC)
        first = start.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except ValueError:
        raise problem from None
    for ahead in range(9):
        moment = first + timedelta(days=ahead)
        if moment > start and moment.isoweekday() % 7 in days:
            return int(moment.timestamp() * 1000)
    raise problem
