"""Quartz expressions under the public API's rules."""

from datetime import UTC, datetime

import pytest

from embedded.airbyte import cron


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0 0 1 * * ?", "0 0 1 * * ?"),
        ("0 0 1 * * ? UTC", "0 0 1 * * ?"),
        ("  0 */15 *  * * ?", "0 */15 * * * ?"),
        ("0 30 1 ? * MON-FRI", "0 30 1 ? * MON-FRI"),
        ("0 15 2 * * ? 2026", "0 15 2 * * ? 2026"),
    ],
)
def test_accepted_without_the_zone(given: str, kept: str) -> None:
    assert cron.canonical(given) == kept
    assert cron.canonical(f"{kept} UTC") == kept


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("0 1 * * *", "6 or 7 fields"),
        ("* 0 1 * * ?", "seconds '\\*': expected an integer"),
        ("0 * 1 * * ? 2026", "minutes '\\*': expected an integer"),
        ("0 0 1 * * *", "exactly one"),
        ("0 0 1 ? * ?", "exactly one"),
        ("0 0 24 * * ?", "hours '24': expected 0 to 23"),
        ("0 0 1 * FOO ?", "month 'FOO'"),
        ("0 0 1 * * ? Europe/Paris", "time zone Europe/Paris"),
        ("0 0 */0 * * ?", "not understood"),
    ],
)
def test_refused_with_the_reason(given: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cron.canonical(given)


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("0 0 1 * * ?", datetime(2026, 3, 1, 1, 0, 0, tzinfo=UTC), True),
        ("0 0 1 * * ?", datetime(2026, 3, 1, 1, 0, 1, tzinfo=UTC), False),
        ("0 */15 * * * ?", datetime(2026, 3, 1, 7, 45, 0, tzinfo=UTC), True),
        ("0 */15 * * * ?", datetime(2026, 3, 1, 7, 46, 0, tzinfo=UTC), False),
        ("0 0 0 ? * MON", datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC), True),
        ("0 0 0 ? * MON", datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC), False),
        ("0 0 0 ? * FRI-MON", datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC), True),
        ("0 0 0 L * ?", datetime(2028, 2, 29, 0, 0, 0, tzinfo=UTC), True),
        ("0 0 0 L * ?", datetime(2026, 2, 27, 0, 0, 0, tzinfo=UTC), False),
    ],
)
def test_matches(expression: str, moment: datetime, expected: bool) -> None:
    assert cron.parse(expression).matches(moment) is expected
