"""Places for the services under test, readable by the user that runs them."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.services.running import Place
from tools.paths import Paths


@pytest.fixture(scope="session")
def paths() -> Paths:
    return Paths.find()


@pytest.fixture(scope="session")
def make_place(service_place: Callable[[str], Place]) -> Callable[[str], Place]:
    """As service_place, but another place each time: servers of one test beside the shared."""
    return lambda name: service_place(f"{name}-{uuid4().hex[:8]}")
