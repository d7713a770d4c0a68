"""Reviews of previews that the real CLI printed, compared with what they were before.

`UPDATE_GOLDEN=1 pytest tests/review/test_golden.py` writes them anew: read the difference.
"""

import os
from dataclasses import replace

import pytest

from review.cli import read, written
from review.report import Review, review
from tests.review.sample import GOLDEN, context, preview_text

NAMES = sorted(path.name.partition(".")[0] for path in GOLDEN.glob("*.preview.json"))


def reviewed(name: str) -> Review:
    known = context()
    if name != "flow_change":
        known = replace(known, dbt=None)
    return review(read(preview_text(name)), known)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        *((name, format_) for name in NAMES for format_ in ("github", "json")),
        ("flow_change", "gitlab"),
        ("flow_change", "terminal"),
    ],
)
def test_the_review_of_a_recorded_preview_stays_as_it_was(name, format_):
    suffix = {"json": "json", "github": "md"}.get(format_, f"{format_}.md")
    golden = GOLDEN / f"{name}.review.{suffix}"
    text = written(reviewed(name), format_=format_, title="Review of stack local")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_the_engine_reports_changes_nothing(name):
    import json

    raw = json.loads(preview_text(name))
    raw["steps"].reverse()
    again = review(read(json.dumps(raw)), replace(context(), dbt=None))
    plain = review(read(preview_text(name)), replace(context(), dbt=None))
    assert written(again, format_="github", title="") == written(plain, format_="github", title="")


def test_a_changed_column_reaches_only_what_reads_it():
    touched = {one.node: one for one in reviewed("flow_change").data.touched}
    revenue = touched["table gold.fct_daily_revenue"]
    assert "chart customer-analytics/Revenue" in revenue.downstream
    # phone and email of customers are in no chart: names and values are.
    customers = touched["table silver.stg_customers"].downstream
    assert "table gold.fct_customer_lifetime_value" in customers
    assert not [node for node in customers if node.startswith(("chart", "dashboard"))]


def test_a_new_cursor_is_told_as_a_resync_of_that_stream_alone():
    resyncs = [one.what for one in reviewed("flow_change").losses if one.effect == "resync"]
    assert "stream postgres.orders" in resyncs
    assert not any("customers" in what for what in resyncs)
