"""A preview, judged: all that a comment says, before it is put into words."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from review import costs, loss, risk, security
from review.costs import Cost
from review.data import DataChanges, DbtChange
from review.data import changes as data_changes
from review.lineage import Lineage
from review.loss import Estimate, Loss
from review.models import Project
from review.preview import Preview
from review.risk import Risk
from review.security import Finding

Measure = Callable[[Loss], Estimate]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known beside the preview. project: the dbt project as it is in this checkout.
    dbt: how it differs from the deployed one, None when it does not."""

    lineage: Lineage
    project: Project | None = None
    dbt: DbtChange | None = None


@dataclass(frozen=True, kw_only=True)
class Review:
    preview: Preview
    data: DataChanges
    losses: tuple[Loss, ...]
    costs: tuple[Cost, ...]
    findings: tuple[Finding, ...]
    risk: Risk

    @property
    def counts(self) -> Mapping[str, int]:
        """op -> number of resources, components left out."""
        return Counter(s.op for s in self.preview.steps if not is_component(s.type))


def is_component(type_: str) -> bool:
    """Whether a resource only groups others."""
    return type_.startswith(("dataflow:", "pulumi:pulumi:"))


def unmeasured(_loss: Loss) -> Estimate:
    return Estimate()


def review(preview: Preview, context: Context, measure: Measure = unmeasured) -> Review:
    """measure: asks the running services how much there is."""
    data = data_changes(preview.steps, context.lineage, context.project, context.dbt)
    losses = tuple(replace(found, estimate=measure(found)) for found in loss.losses(preview))
    findings = tuple(security.findings(preview))
    return Review(
        preview=preview,
        data=data,
        losses=losses,
        costs=tuple(costs.costs(preview)),
        findings=findings,
        risk=risk.grade(preview, data, losses, findings),
    )
