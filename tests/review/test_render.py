"""A comment fits where it is posted, and cannot be made to say other things."""

import re

import pytest

from review.cli import read, written
from review.render import LIMITS, size
from review.report import review
from tests.review.sample import context
from tests.review.steps import preview_of, step

PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
DASHBOARD = "pulumi-python:dynamic/dataflow/superset:Dashboard"


def comment(preview: str, format_: str) -> str:
    return written(review(read(preview), context()), format_=format_, title="Review")


def many(count: int, length: int) -> str:
    return preview_of(
        *(
            step("create", PROCESS, f"p{at:05}", new={"name": "x", "text": f"{'y' * length}"})
            for at in range(count)
        )
    )


@pytest.mark.parametrize(("format_", "count"), [("github", 300), ("gitlab", 4000)])
def test_a_long_comment_is_cut_in_its_folded_part_and_says_so(format_, count):
    text = comment(many(count, 300), format_)
    assert len(text) <= LIMITS[format_]
    assert len(text) > LIMITS[format_] * 0.95  # no more is cut than has to be
    assert f"{count} to create" in text
    assert "cut here" in text
    assert text.count("```") == 2
    assert text.rstrip().endswith("</details>")
    assert "cut here" not in comment(many(20, 300), format_)


def test_even_a_head_that_is_too_long_is_cut():
    said = [{"severity": "error", "message": f"{at} " + "z" * 4000} for at in range(40)]
    text = comment(preview_of(diagnostics=said), "github")
    assert len(text) <= LIMITS["github"]
    assert "cut here" in text


def test_names_cannot_break_out_of_a_table_or_mention_people():
    name = "a | b <img src=x> @everybody\n| new row"
    text = comment(
        preview_of(
            step("create", DASHBOARD, new={"slug": name}),
            diagnostics=[{"severity": "error", "message": name}],
            policyEvents=[{"policyName": name, "enforcementLevel": "mandatory", "message": name}],
        ),
        "github",
    )
    head = re.sub("`[^`\n]*`", "", text.partition("<details>")[0])  # code is shown as it is
    assert "<img" not in head
    assert "@everybody" not in head
    assert not [line for line in head.splitlines() if line.startswith("| new row")]


def test_a_code_fence_in_a_value_does_not_end_the_diff():
    text = comment(preview_of(step("create", PROCESS, new={"text": "```\n# big\n"})), "github")
    assert text.count("```") == 2


def test_a_changed_document_shows_its_changed_lines_alone():
    old = "\n".join(f"line {at}" for at in range(100))
    new = old.replace("line 50", "line fifty")
    diff = step("update", PROCESS, old={"f": old}, new={"f": new}, diff={"f": "update"})
    text = comment(preview_of(diff), "github")
    assert "-line 50" in text
    assert "+line fifty" in text
    assert "line 49" not in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (-(2**30), "-1.0 GiB"), (2**41, "2.0 TiB")],
)
def test_sizes_are_readable(count, text):
    assert size(count) == text
