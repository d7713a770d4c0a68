"""The pack's verdict on a stack as a page for people, and as SARIF 2.1.0 for machines.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from policies.catalog import PRODUCTS
from policies.evaluation import Configured, Finding, Pack
from policies.model import Level

SARIF_VERSION = "2.1.0"
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS = {Level.MANDATORY: "error", Level.ADVISORY: "warning", Level.DISABLED: "none"}
PROGRAM = "Pulumi.yaml"  # SARIF wants a file: a resource has none of its own

STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .4em .6em; text-align: left }
td { vertical-align: top }
.mandatory { color: #b00020; font-weight: 600 }
.advisory { color: #9a6700 }
.clean { color: #1a7f37 }
"""


def sarif(pack: Pack, findings: Sequence[Finding]) -> str:
    rules = [one for one in pack.rules if one.level is not Level.DISABLED]
    index = {one.rule.id: number for number, one in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "dataflow policies",
                "rules": [_sarif_rule(one) for one in rules],
            }
        },
        "results": [_sarif_result(finding, index) for finding in findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": SARIF_VERSION, "runs": [run]}, indent=2)


def _sarif_rule(one: Configured) -> dict[str, Any]:
    return {
        "id": one.rule.id,
        "shortDescription": {"text": one.rule.title},
        "fullDescription": {"text": one.rule.why},
        "help": {"text": one.rule.fix},
        "defaultConfiguration": {"level": SARIF_LEVELS[one.level]},
        "properties": {"severity": one.rule.severity.value},
    }


def _sarif_result(finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    place = {"name": finding.name or "stack", "kind": "resource"}
    if finding.urn:
        place["fullyQualifiedName"] = finding.urn
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": index[finding.rule.id],
        "level": SARIF_LEVELS[finding.level],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": PROGRAM},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [place],
            }
        ],
        # The same offence keeps its identity from one run to the next.
        "partialFingerprints": {"rule/resource": f"{finding.rule.id}/{finding.urn}"},
    }


def html(pack: Pack, findings: Sequence[Finding], *, stack: str, today: date) -> str:
    """One page without outside parts."""
    return "\n".join(_page(pack, findings, stack, today)) + "\n"


def _page(pack: Pack, findings: Sequence[Finding], stack: str, today: date) -> Iterator[str]:
    title = escape(f"Policies of stack {stack}")
    counts = Counter(finding.level for finding in findings)
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    yield f"<p>{today}: " + ", ".join(
        f'<span class="{level.value}">{counts[level]} {level.value}</span>'
        for level in (Level.MANDATORY, Level.ADVISORY)
    )
    yield f", {len(pack.rules)} rules.</p>"
    broken = {finding.rule.id for finding in findings}
    configured = {one.rule.id: one for one in pack.rules}
    for product, module in PRODUCTS.items():
        yield f"<h2>{escape(product)}</h2><table>"
        yield "<tr><th>rule<th>level<th>what must hold<th>what is wrong</tr>"
        for rule in module.RULES:
            one = configured[rule.id]
            told = [f.message for f in findings if f.rule.id == rule.id]
            style = one.level.value if rule.id in broken else "clean"
            wrong = "<br>".join(escape(text) for text in told) or "-"
            yield (
                f'<tr><td>{rule.id}<td class="{style}">{one.level.value}'
                f"<td>{escape(rule.title)}<td>{wrong}</tr>"
            )
        yield "</table>"
    yield "</html>"
