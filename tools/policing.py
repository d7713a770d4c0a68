"""The policy pack on a stack: the arguments that make the engine run it, and reports of it."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from policies.evaluation import ConfigurationError, Finding, Pack
from policies.judged import Judged, config_file, configuration, judge_state
from policies.model import Level
from policies.report import html, sarif
from tools.stack import Stack, StackError

FORMATS = ("html", "sarif")
BROKEN = 2  # exit code when a mandatory rule is broken, as for a review that is too risky


def pack_arguments(stack: Stack) -> list[str]:
    """Makes `pulumi preview` and `up` check the policies, as policies/config says."""
    settings = config_file(stack.name)
    chosen = ["--policy-pack-config", str(settings)] if settings else []
    return ["--policy-pack", str(stack.paths.root / "policies"), *chosen]


@contextmanager
def mandatory_rules(stack: Stack) -> Iterator[list[str]]:
    """As pack_arguments, but for the advisory rules, all of whose findings the engine would print
    at every run. Raises StackError for a wrong policies/config."""
    _judged, pack = pack_of(stack)
    chosen = {
        **configuration(stack.name),
        **{one.rule.id: Level.DISABLED for one in pack.rules if one.level is Level.ADVISORY},
    }
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "policies.json"
        settings.write_text(json.dumps(chosen))
        pack_folder = str(stack.paths.root / "policies")
        yield ["--policy-pack", pack_folder, "--policy-pack-config", str(settings)]


def pack_of(stack: Stack) -> tuple[Judged, Pack]:
    """Raises StackError for a wrong policies/config."""
    judged = Judged.of(stack.configuration())
    try:
        return judged, judged.pack(configuration(stack.name), datetime.now(UTC).date())
    except ConfigurationError as fault:
        raise StackError(f"{config_file(stack.name)}: {fault}") from None


def rules_table(pack: Pack) -> Table:
    table = Table("rule", "severity", "level", "what must hold", box=None, pad_edge=False)
    for one in pack.rules:
        table.add_row(one.rule.id, one.rule.severity.value, one.level.value, one.rule.title)
    return table


def findings(stack: Stack, judged: Judged, pack: Pack) -> list[Finding]:
    """What is wrong in the stack's state."""
    stack.require()
    return judge_state(json.loads(stack.answer("stack", "export")), judged, pack)


def written(stack: Stack, pack: Pack, found: list[Finding], format_: str) -> str:
    if format_ == "sarif":
        return sarif(pack, found)
    return html(pack, found, stack=stack.name, today=pack.today)


def show(found: list[Finding], console: Console) -> None:
    for finding in sorted(found, key=lambda one: one.level is not Level.MANDATORY):
        console.print(finding.level.value, finding.rule.id, finding.message, markup=False)
    counts = Counter(finding.level for finding in found)
    console.print(f"{counts[Level.MANDATORY]} mandatory, {counts[Level.ADVISORY]} advisory")


def show_counts(stack: Stack, found: list[Finding], console: Console) -> None:
    """One line on the advisory findings: how many of each rule."""
    counts = Counter(one.rule.id for one in found if one.level is Level.ADVISORY)
    if counts:
        rules = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
        console.print(
            f"policies: {counts.total()} advisory findings ({rules}), shown by "
            f"bin/dataflow policy report --stack {stack.name}",
            soft_wrap=True,
        )


def broken(found: list[Finding]) -> bool:
    return any(finding.level is Level.MANDATORY for finding in found)
