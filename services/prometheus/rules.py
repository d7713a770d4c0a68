"""Rules of Prometheus: alerts, and series under names of their own, as one file per group.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

FOLDER = "rules"  # beside prometheus.yml
SEVERITIES = ("warning", "critical")
NAME = re.compile(r"[A-Z][A-Za-z]*")
DURATION = re.compile(r"\d+[smhd]")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """name: as `ServiceDown`. expr: PromQL; the alert fires for every series of its answer.
    held: how long that must hold, such as 5m. service: what it is about, where no label of the
    series says so. runbook: the page on what to do.
    """

    name: str
    expr: str
    held: str
    severity: str
    summary: str
    runbook: str
    service: str = ""

    def __post_init__(self) -> None:
        at = f"alert {self.name!r}"
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{at}: name: expected letters, the first of them a capital")
        if self.severity not in SEVERITIES:
            valid = ", ".join(SEVERITIES)
            raise ValueError(f"{at}: severity {self.severity!r}: expected one of {valid}")
        if not DURATION.fullmatch(self.held):
            raise ValueError(f"{at}: held {self.held!r}: expected a duration such as 5m")
        for field in ("expr", "summary", "runbook"):
            if not getattr(self, field):
                raise ValueError(f"{at}: {field}: expected a text")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A series `name` that keeps the answers of `expr`."""

    name: str
    expr: str


def file(group: str, rules: Sequence[Alert | Recording]) -> dict[str, str]:
    """Path beside prometheus.yml -> text of a file with one group."""
    rendered = {"groups": [{"name": group, "rules": [_rule(rule) for rule in rules]}]}
    return {f"{FOLDER}/{group}.yml": yaml.safe_dump(rendered, sort_keys=False, width=99)}


def _rule(rule: Alert | Recording) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.name, "expr": rule.expr}
    service = {"service": rule.service} if rule.service else {}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.held,
        "labels": {"severity": rule.severity, **service},
        "annotations": {"summary": rule.summary, "runbook_url": rule.runbook},
    }
