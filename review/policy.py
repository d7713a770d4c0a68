"""Policy violations that come from elsewhere than the engine's events: SARIF, printed text."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from review.preview import Diagnostic, PreviewError, Violation, first_paragraph, level_of

# What the engine prints for a violation where it keeps no event of it:
# `[mandatory]  pack v1.0.0  policy-name (resource: name)`
_PRINTED = re.compile(
    r"\[(?P<level>advisory|mandatory)\]\s+(?P<pack>\S+)(?:\s+v\S+)?\s+(?P<policy>\S+)"
    r"(?:\s+\((?P<resource>[^)]*)\))?\s*(?P<message>.*)",
    re.DOTALL,
)


def from_sarif(text: str) -> list[Violation]:
    """The results of a SARIF 2.1.0 log. `error` is mandatory. Raises PreviewError."""
    try:
        runs = json.loads(text)["runs"]
        return [found for run in runs for found in _from_run(run)]
    except (ValueError, KeyError, TypeError) as fault:
        raise PreviewError(f"not a SARIF 2.1.0 log: {type(fault).__name__}: {fault}") from None


def _from_run(run: Mapping[str, Any]) -> Iterator[Violation]:
    driver = run["tool"]["driver"]
    rules = {rule["id"]: rule for rule in driver.get("rules") or []}
    for result in run.get("results") or []:
        if result.get("suppressions") or result.get("kind") in ("pass", "notApplicable"):
            continue
        rule = rules.get(result.get("ruleId"), {})
        default = (rule.get("defaultConfiguration") or {}).get("level", "warning")
        yield Violation(
            policy=str(result.get("ruleId", "")),
            pack=str(driver.get("name", "")),
            level=level_of(str(result.get("level", default))),
            severity=str((rule.get("properties") or {}).get("severity", "")),
            message=first_paragraph(str(result["message"].get("text", ""))),
            resource=_location(result),
        )


def _location(result: Mapping[str, Any]) -> str:
    for place in result.get("locations") or []:
        for logical in place.get("logicalLocations") or []:
            name = str(logical.get("fullyQualifiedName") or logical.get("name") or "")
            return name.rpartition("::")[2]
        physical = (place.get("physicalLocation") or {}).get("artifactLocation") or {}
        return str(physical.get("uri", ""))
    return ""


def from_diagnostics(diagnostics: Sequence[Diagnostic]) -> list[Violation]:
    """Those that reached the preview as printed text only."""
    found = []
    for diagnostic in diagnostics:
        if printed := _PRINTED.match(diagnostic.message):
            found.append(
                Violation(
                    policy=printed["policy"],
                    pack=printed["pack"],
                    level=level_of(printed["level"]),
                    severity="",
                    message=first_paragraph(printed["message"]),
                    resource=printed["resource"] or diagnostic.urn.rpartition("::")[2],
                )
            )
    return found
