from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSimError

from pipeline.schedule import next_time, quartz

SUNDAY = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "days_and_hours"),
    [
        ("0 0 1 * * ?", (0, 1)),
        ("0 0 1 ? * 1", (0, 1)),  # Quartz counts from 1, Sunday
        ("0 0 1 ? * 2-6", (1, 1)),
        ("0 0 1 ? * MON,WED", (1, 1)),
        ("0 0 1 ? * 3#1", (2, 1)),  # first Tuesday
        ("0 0 1 ? * 7L", (27, 1)),  # last Saturday
        ("0 0 0/6 * * ?", (0, 6)),
        ("0 0 0 1 4 ?", (31, 0)),
    ],
)
def test_the_next_time_is_that_of_quartz(expression, days_and_hours):
    days, hours = days_and_hours
    assert next_time(expression, SUNDAY) == SUNDAY + timedelta(days=days, hours=hours)


def test_the_next_time_lies_after_the_given_one():
    assert next_time("0 0 1 * * ?", SUNDAY.replace(hour=1)) == SUNDAY + timedelta(days=1, hours=1)


@pytest.mark.parametrize(
    "wrong", ["0 1 * * *", "0 0 1 * * *", "0 0 1 ? * ?", "0 0 25 * * ?", "0 0 1 ? * 0", "a b"]
)
def test_what_quartz_refuses_is_refused(wrong):
    with pytest.raises(CronSimError):
        quartz(wrong)
