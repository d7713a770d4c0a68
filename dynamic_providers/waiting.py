"""Polling until a service has finished, with a deadline."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

FIRST_POLL_S = 0.1
SLOWEST_POLL_S = 5.0

T = TypeVar("T")


class WorkFailedError(ValueError):
    """The service took the work on, and could not do it."""


def wait_for(
    probe: Callable[[], T | None],
    timeout_s: float,
    what: str,
    slowest_poll_s: float = SLOWEST_POLL_S,
) -> T:
    """The first value of `probe` that is not None. Raises TimeoutError after `timeout_s`."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda value: value is None),
        wait=tenacity.wait_exponential(multiplier=FIRST_POLL_S, max=slowest_poll_s),
        stop=tenacity.stop_after_delay(timeout_s),
    )
    try:
        value = retrying(probe)
    except tenacity.RetryError:
        raise TimeoutError(f"{what}: not done after {timeout_s:g} s") from None
    if value is None:
        raise AssertionError("tenacity returned before the probe had a value")
    return value
