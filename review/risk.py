"""The risk grade of a change: the gravest of the rules that apply. docs/review.md lists them."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from review import loss, security
from review.data import DataChanges
from review.loss import Loss
from review.preview import MANDATORY, Preview, Violation
from review.security import Finding

MANY_DELETES = 10  # so many at once are more often a mistake than a plan


class Grade(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Grade).index(self)


@dataclass(frozen=True, kw_only=True)
class Rule:
    grade: Grade
    text: str


RULES = {
    "failed": Rule(grade=Grade.HIGH, text="the preview reports errors"),
    "data-loss": Rule(grade=Grade.CRITICAL, text="data is gone for good"),
    "empty-loss": Rule(grade=Grade.MEDIUM, text="an object that holds no data goes away"),
    "public": Rule(grade=Grade.CRITICAL, text="something opens to everybody"),
    "expiry": Rule(grade=Grade.HIGH, text="a retention gets shorter"),
    "new-expiry": Rule(grade=Grade.MEDIUM, text="data without a retention gets one"),
    "tls-off": Rule(grade=Grade.HIGH, text="TLS is switched off"),
    "mandatory-policy": Rule(grade=Grade.HIGH, text="a mandatory policy fails"),
    "critical-policy": Rule(
        grade=Grade.CRITICAL, text="a mandatory policy of severity critical fails"
    ),
    "resync": Rule(grade=Grade.HIGH, text="a stream loses its state and is read again"),
    "many-deletes": Rule(grade=Grade.HIGH, text=f"{MANY_DELETES} or more resources are deleted"),
    "seen": Rule(grade=Grade.MEDIUM, text="a gold table, chart or dashboard changes"),
    "replace": Rule(grade=Grade.MEDIUM, text="a resource is replaced"),
    "delete": Rule(grade=Grade.MEDIUM, text="a resource is deleted"),
    "opens": Rule(grade=Grade.MEDIUM, text="a port, user or right is new or wider"),
    "secret": Rule(grade=Grade.MEDIUM, text="a secret of something that exists changes"),
    "advisory-policy": Rule(grade=Grade.MEDIUM, text="an advisory policy warns of what changes"),
    "sync-again": Rule(grade=Grade.MEDIUM, text="a sync or a build runs again"),
}


@dataclass(frozen=True, kw_only=True)
class Risk:
    """reasons: keys of RULES that apply, the gravest first."""

    grade: Grade
    reasons: tuple[str, ...]


def grade(
    preview: Preview,
    data: DataChanges,
    losses: Sequence[Loss],
    findings: Sequence[Finding],
) -> Risk:
    keys = {
        *_of_steps(preview),
        *_of_policies(preview.violations, {step.name for step in preview.steps}),
        *_of_losses(losses),
        *_of_findings(findings),
    }
    first_up = all(step.op in ("create", "import") for step in preview.steps)
    if not first_up and any(t.op != "create" and t.reaches_people for t in data.touched):
        keys.add("seen")
    if first_up:
        # Nobody uses yet what is only made: its ports, users and rights are the plan itself.
        keys -= {"opens"}
    reasons = sorted(keys, key=lambda key: (-RULES[key].grade.rank, list(RULES).index(key)))
    highest = RULES[reasons[0]].grade if reasons else Grade.LOW
    return Risk(grade=highest, reasons=tuple(reasons))


def _of_steps(preview: Preview) -> Iterator[str]:
    if any(diagnostic.severity == "error" for diagnostic in preview.diagnostics):
        yield "failed"
    deleted = [s for s in preview.steps if s.op == "delete" and not s.type.startswith("dataflow:")]
    if len(deleted) >= MANY_DELETES:
        yield "many-deletes"
    if deleted:
        yield "delete"
    if any(step.op == "replace" for step in preview.steps):
        yield "replace"


def _of_policies(violations: Sequence[Violation], changed: Set[str]) -> Iterator[str]:
    for violation in violations:
        if violation.level != MANDATORY:
            # It warns on each preview of a stack: of what stays, nobody has to be told again.
            if violation.resource in changed:
                yield "advisory-policy"
        elif violation.severity == "critical":
            yield "critical-policy"
        else:
            yield "mandatory-policy"


def _of_losses(losses: Sequence[Loss]) -> Iterator[str]:
    for found in losses:
        empty = found.estimate.rows == 0 or found.estimate.size_bytes == 0
        if found.effect == loss.LOSS:
            yield "empty-loss" if empty else "data-loss"
        elif found.effect == loss.EXPIRY:
            yield "expiry"
        elif found.effect == loss.NEW_EXPIRY:
            yield "new-expiry"
        elif found.effect == loss.RESYNC:
            yield "sync-again" if found.what.startswith("sync ") else "resync"
        else:
            yield "sync-again"


def _of_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.area == security.PUBLIC:
            yield "public"
        elif finding.area == security.TLS and finding.opens:
            yield "tls-off"
        elif finding.area == security.SECRET and finding.what.startswith(security.CHANGED):
            yield "secret"
        elif finding.opens:
            yield "opens"
