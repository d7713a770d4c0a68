"""A review in words: Markdown for GitHub and GitLab, and JSON for machines.

Every text passes the mask at the end, so that no section can forget it.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from review import costs, loss
from review.costs import Amount
from review.data import Touched
from review.loss import Estimate, Loss
from review.masking import Mask, is_secret_path
from review.paths import ABSENT
from review.preview import MANDATORY, SECRET_MARK, UNKNOWN, Field, Step
from review.report import Review, is_component
from review.risk import RULES

# Longest comment: GitHub counts 65,536 characters, GitLab 1,000,000.
# A terminal has none.
LIMITS = {"github": 65_536, "gitlab": 1_000_000, "terminal": 100_000_000}
FENCE = "```\n"
_FOLDED = "\n<details><summary>Technical diff</summary>\n\n```diff\n", f"{FENCE}\n</details>\n"
_FRAMES = {"terminal": ("\n### Technical diff\n\n```diff\n", FENCE)}
VALUE_LENGTH = 400  # characters of one value; the rest is in the artifact
LISTED = 40  # rows of one table; the rest is counted
DOWNSTREAM_LISTED = 8
SIGNS = {"create": "＋", "update": "～", "delete": "－", "replace": "±", "import": "↓"}
PLAIN_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "+-", "import": "="}


def markdown(review: Review, mask: Mask, *, flavour: str, title: str) -> str:
    """flavour: a key of LIMITS. The folded part is cut where the comment would be too long."""
    limit = LIMITS[flavour]
    head = mask.text(
        "\n".join([_marker(title), f"## {title}", "", *_summary(review), *_sections(review)])
    )
    note = "\n… cut here: the whole diff is in `review.json` of this run.\n"
    frame = _FRAMES.get(flavour, _FOLDED)
    if len(head) > limit - len("".join(frame)) - len(note):
        head = _cut(head, limit - len("".join(frame)) - 2 * len(note)) + note
    room = limit - len(head) - len("".join(frame)) - len(note)
    lines = [line.replace("```", "'''") for line in _technical(review, mask)]
    if not lines:
        return head
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    body = "\n".join(kept) + "\n"
    if len(kept) == len(lines):
        return head + frame[0] + body + frame[1]
    return head + frame[0] + body + frame[1].replace(FENCE, FENCE + note, 1)


def _marker(title: str) -> str:
    """By this the next run finds its comment."""
    return f"<!-- dataflow: {title} -->"


def _cut(text: str, limit: int) -> str:
    """`text` up to a line's end before `limit`."""
    return text[:limit].rpartition("\n")[0] + "\n"


def as_json(review: Review, mask: Mask) -> str:
    """The same for machines, and whole."""
    found = {
        "risk": {
            "grade": review.risk.grade.value,
            "reasons": [
                {"rule": key, "grade": RULES[key].grade.value, "text": RULES[key].text}
                for key in review.risk.reasons
            ],
        },
        "counts": dict(sorted(review.counts.items())),
        "unchanged": review.preview.unchanged,
        "data": [_touched_json(one) for one in review.data.touched],
        "dbt": None if review.data.dbt is None else _dbt_json(review),
        "losses": [
            {
                "effect": one.effect,
                "what": one.what,
                "why": one.why,
                "rows": one.estimate.rows,
                "bytes": one.estimate.size_bytes,
            }
            for one in review.losses
        ],
        "costs": [
            {"what": c.what, "old": _amount_json(c.old), "new": _amount_json(c.new)}
            for c in review.costs
        ],
        "policies": [vars(violation) for violation in review.preview.violations],
        "security": [vars(finding) for finding in review.findings],
        "diagnostics": [vars(diagnostic) for diagnostic in review.preview.diagnostics],
        "steps": [_step_json(step, mask) for step in review.preview.steps],
    }
    return json.dumps(mask.value(found), indent=2, ensure_ascii=False) + "\n"


def _touched_json(one: Touched) -> dict[str, Any]:
    return {
        "op": one.op,
        "node": one.node,
        "details": list(one.details),
        "downstream": list(one.downstream),
    }


def _dbt_json(review: Review) -> dict[str, Any]:
    dbt = review.data.dbt
    return {} if dbt is None else {"base": dbt.base, "exact": dbt.exact, "other": list(dbt.other)}


def _amount_json(amount: Amount) -> dict[str, Any]:
    return {**vars(amount), "usdAMonth": round(amount.usd_a_month, 2)}


def _step_json(step: Step, mask: Mask) -> dict[str, Any]:
    return {
        "op": step.op,
        "kind": step.kind,
        "name": step.name,
        "fields": [
            {
                "path": field.path,
                "old": _plain(_masked(step, field, field.old, mask)),
                "new": _plain(_masked(step, field, field.new, mask)),
            }
            for field in step.fields
        ],
    }


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _summary(review: Review) -> Iterator[str]:
    grade = review.risk.grade
    counts = review.counts
    if not counts:
        yield "**No changes.**"
    else:
        told = ", ".join(f"{counts[op]} to {op}" for op in SIGNS if counts[op])
        yield f"**Risk: {grade}** — {told}; {review.preview.unchanged} unchanged."
    if review.risk.reasons:
        yield ""
        for key in review.risk.reasons:
            yield f"- {RULES[key].grade}: {RULES[key].text}"
    yield ""


def _sections(review: Review) -> Iterator[str]:
    yield from _errors(review)
    yield from _data(review)
    yield from _losses(review.losses)
    yield from _policies(review)
    yield from _security(review)
    yield from _costs(review)


def _errors(review: Review) -> Iterator[str]:
    found = review.preview.diagnostics
    if found:
        yield from ("### The preview says", "")
        yield from _limited(
            [f"- {d.severity}: {_cell(d.message.splitlines()[0])}{_of(d.urn)}" for d in found], ""
        )
        yield ""


def _of(urn: str) -> str:
    return f" ({_code(urn.rpartition('::')[2])})" if urn else ""


def _data(review: Review) -> Iterator[str]:
    data = review.data
    if not data.touched and data.dbt is None:
        return
    yield from ("### Data", "")
    yield from _dbt(review)
    if data.touched:
        rows = [
            f"| {SIGNS[t.op]} | {_node(t.node)} | {_cell('; '.join(t.details)) or t.op} "
            f"| {_downstream(t.downstream)} |"
            for t in data.touched
        ]
        yield from ("| | object | change | downstream |", "| --- | --- | --- | --- |")
        yield from _limited(rows, "| | … | {} more | |")
        yield ""


def _dbt(review: Review) -> Iterator[str]:
    dbt = review.data.dbt
    if dbt is None:
        return
    if dbt.models is None:
        yield "The dbt project changed; what was deployed is in no known revision: all models may."
    else:
        told = "what is deployed" if dbt.exact else "**not** exactly what is deployed"
        yield f"The dbt project, compared with `{dbt.base}` ({told}):"
        if not dbt.models:
            yield "no model differs."
    if dbt.other:
        yield f"Tests, properties or settings: {', '.join(f'`{path}`' for path in dbt.other)}."
    yield ""


def _node(node: str) -> str:
    kind, _, name = node.partition(" ")
    return f"{kind} {_code(name)}"


def _downstream(nodes: Sequence[str]) -> str:
    shown = [_node(node) for node in nodes[:DOWNSTREAM_LISTED]]
    if len(nodes) > DOWNSTREAM_LISTED:
        shown.append(f"{len(nodes) - DOWNSTREAM_LISTED} more")
    return ", ".join(shown) or "–"


def _losses(found: Sequence[Loss]) -> Iterator[str]:
    if not found:
        return
    yield from ("### Could be lost, read or computed again", "")
    yield from ("| effect | what | why | how much |", "| --- | --- | --- | --- |")
    rows = [
        f"| {loss.EFFECTS[one.effect]} | {_cell(one.what)} | {_cell(one.why)} "
        f"| {_estimate(one.estimate)} |"
        for one in found
    ]
    yield from _limited(rows, "| … | {} more | | |")
    yield ""


def _estimate(estimate: Estimate) -> str:
    parts = []
    if estimate.rows is not None:
        parts.append(f"{estimate.rows:,} rows")
    if estimate.size_bytes is not None:
        parts.append(size(estimate.size_bytes))
    return ", ".join(parts) or "unknown"


def size(count: float) -> str:
    """Bytes in the unit that people read: `1.5 GiB`."""
    sign = "-" if count < 0 else ""
    count = abs(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{sign}{count:.0f} {unit}" if unit == "B" else f"{sign}{count:.1f} {unit}"
        count /= 1024
    return f"{sign}{count:.1f} TiB"


def _policies(review: Review) -> Iterator[str]:
    found = review.preview.violations
    if not found:
        return
    yield from ("### Policies that fail", "")
    changed = {step.name for step in review.preview.steps}
    told = [v for v in found if v.level == MANDATORY or v.resource in changed]
    rows = [
        f"| {v.level}{f', {v.severity}' if v.severity else ''} | {_code(v.policy)} "
        f"| {_code(v.resource) if v.resource else '–'} | {_cell(v.message)} |"
        for v in told
    ]
    if rows:
        yield from ("| level | policy | resource | message |", "| --- | --- | --- | --- |")
        yield from _limited(rows, "| … | {} more | | |")
    rest = Counter(v.policy for v in found if v not in told)
    if rest:
        listed = ", ".join(f"{_code(policy)} {count}" for policy, count in sorted(rest.items()))
        yield ""
        yield f"Advisory, on resources that stay as they are: {listed}."
    yield ""


def _security(review: Review) -> Iterator[str]:
    if not review.findings:
        return
    yield from ("### Security", "")
    areas: dict[str, list[str]] = {}
    for finding in review.findings:
        areas.setdefault(finding.area, []).append(finding.what)
    for area, found in areas.items():
        yield f"- **{area}**"
        yield from (
            f"  {line}" for line in _limited([f"- {_cell(what)}" for what in found], "- … {} more")
        )
    yield ""


def _costs(review: Review) -> Iterator[str]:
    if not review.costs:
        return
    yield from ("### Resources and costs", "")
    whole = costs.total(list(review.costs))
    if not any(c.old.priced or c.new.priced for c in review.costs):
        names = ", ".join(f"{_cell(c.what)} {c.difference.processes:+d}" for c in review.costs)
        yield f"Processes of this machine, which share what it has: {names}."
        yield ""
        return
    yield from (
        "| service | processes | cores | memory | disk | USD a month |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    rows = [_cost_row(_cell(cost.what), cost.difference) for cost in review.costs]
    yield from _limited(rows, "| … {} more | | | | | |")
    yield _cost_row("**all**", whole)
    yield ""
    yield (
        f"Assumed prices, in USD a month: {costs.CORE_USD:g} a core, "
        f"{costs.MEMORY_GIB_USD:g} a GiB of memory, {costs.DISK_GIB_USD:g} a GiB of disk."
    )
    if whole.unstated:
        yield (
            f"{abs(whole.unstated)} of them state no cores or memory: they are counted as nothing."
        )
    yield ""


def _cost_row(label: str, change: Amount) -> str:
    return (
        f"| {label} | {change.processes:+d} | {change.cores:+g} | {_signed(change.memory_bytes)} "
        f"| {_signed(change.disk_bytes)} | {change.usd_a_month:+.2f} |"
    )


def _signed(count: float) -> str:
    return f"{'+' if count > 0 else ''}{size(count)}" if count else "–"


def _limited(rows: Sequence[str], rest: str) -> Iterator[str]:
    yield from rows[:LISTED]
    if len(rows) > LISTED:
        yield (rest or "- … {} more").format(len(rows) - LISTED)


def _code(text: str) -> str:
    """`text` as code within a Markdown table: nothing in it is markup, or a mention."""
    flat = " ".join(text.replace("`", "'").split())
    return "`" + flat.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    """`text` on one line of a Markdown table, with no markup or mention of its own."""
    flat = " ".join(text.split())
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("@", "&#64;")


def technical(review: Review, mask: Mask) -> list[str]:
    """The diff, field by field, without anything secret."""
    return list(_technical(review, mask))


def _technical(review: Review, mask: Mask) -> Iterator[str]:
    for step in review.preview.steps:
        if is_component(step.type):
            continue
        sign = PLAIN_SIGNS[step.op]
        reasons = f"  (replaced: {', '.join(step.replaced_by)})" if step.replaced_by else ""
        yield mask.text(f"@@ {sign} {step.kind} {step.name}{reasons} @@")
        for field in step.fields:
            yield from _field(step, field, mask)


def _field(step: Step, field: Field, mask: Mask) -> Iterator[str]:
    old, new = (_masked(step, field, value, mask) for value in (field.old, field.new))
    if old == new == SECRET_MARK:
        yield f"! {field.path}: {SECRET_MARK} (changed)"
        return
    if _many_lines(old) and _many_lines(new):
        yield f"! {field.path}:"
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
        yield from (line for line in list(lines)[2:] if not line.startswith("@@"))
        return
    if old is not ABSENT:
        yield f"- {field.path}: {_shown(old)}"
    if new is not ABSENT:
        yield f"+ {field.path}: {_shown(new)}"


def _masked(step: Step, field: Field, value: Any, mask: Mask) -> Any:
    if value is ABSENT:
        return value
    whole = step.kind == "kubernetes:Secret" and field.keys[0] in ("data", "stringData")
    return mask.value(value, secret=whole or is_secret_path(field.keys))


def _many_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _shown(value: Any) -> str:
    if value == UNKNOWN:
        return "(known after the change)"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True).replace(
        UNKNOWN, "(known after the change)"
    )
    return (
        text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}… ({len(text)} characters)"
    )
