"""From the text of a preview to the text of a comment: what the commands call.

Exit codes of the commands: 0; GATE when the grade reaches `--fail-on`, or there is drift; 1 for an
error.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flow.model import DataFlow
from review import policy, render
from review.lineage import of_flow
from review.masking import Mask
from review.preview import Preview, load
from review.report import Context, Measure, Review, review, unmeasured
from review.repository import current, dbt_change, lineage_at
from review.risk import Grade

GATE = 2  # as `terraform plan -detailed-exitcode` has it: not an error, but not nothing
NEVER = "never"
FORMATS = (*render.LIMITS, "json")


def read(text: str, sarif: Sequence[str] = ()) -> Preview:
    """The preview with the policies that fail. sarif: texts of SARIF logs. Raises PreviewError."""
    preview = load(text)
    violations = [found for log in sarif for found in policy.from_sarif(log)]
    violations += policy.from_diagnostics(preview.diagnostics)
    return preview.with_violations(violations)


def judge(
    preview: Preview,
    *,
    root: Path,
    flow: DataFlow,
    flow_name: str = "",
    base: str,
    measure: Measure = unmeasured,
) -> Review:
    """flow_name: module:attribute of the flow, for what it was in `base` (or the last commit):
    what goes away has its followers there. Raises RepositoryError."""
    project = current(root)
    lineage = of_flow(flow)
    if flow_name and any(step.op in ("delete", "replace") for step in preview.steps):
        before = lineage_at(root, base or "HEAD", flow_name)
        lineage = lineage.merged(before) if before else lineage
    context = Context(
        lineage=lineage,
        project=project,
        dbt=dbt_change(preview, root, project, base),
    )
    return review(preview, context, measure)


def written(found: Review, *, format_: str, title: str, secrets: Iterable[str] = ()) -> str:
    """The review as text. secrets: texts that must not appear, beside those that are found."""
    mask = Mask(found.preview, secrets)
    if format_ == "json":
        return render.as_json(found, mask)
    return render.markdown(found, mask, flavour=format_, title=title)


def reaches(found: Review, fail_on: str) -> bool:
    """Whether the grade is `fail_on` or above: NEVER lets everything pass."""
    if fail_on == NEVER:
        return False
    return found.risk.grade.rank >= Grade(fail_on).rank
