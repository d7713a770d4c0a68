"""docs/review.md shows what the code does. `UPDATE_GOLDEN=1` writes its tables anew."""

import os
import re

from review.risk import RULES
from tests.review.sample import GOLDEN
from tools.paths import ROOT

PAGE = ROOT / "docs" / "review.md"


def rules() -> str:
    ordered = sorted(RULES.values(), key=lambda rule: -rule.grade.rank)
    rows = [f"| {rule.grade} | {rule.text} |" for rule in ordered]
    return "\n".join(["| grade | rule |", "| --- | --- |", *rows])


def example() -> str:
    comment = (GOLDEN / "flow_change.review.md").read_text().partition("<details>")[0]
    text = comment.partition("\n")[2].strip()
    return re.sub(r"^#", "###", text, flags=re.MULTILINE)


def filled(page: str, mark: str, text: str) -> str:
    pattern = re.compile(f"(<!-- {mark} -->).*(<!-- /{mark} -->)", re.DOTALL)
    assert pattern.search(page), mark
    return pattern.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)


def test_the_page_lists_the_rules_and_shows_a_recorded_review():
    page = PAGE.read_text()
    current = filled(filled(page, "rules", rules()), "example", example())
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(current)
    assert PAGE.read_text() == current
