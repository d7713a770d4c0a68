"""An imported Airbyte under the real Pulumi CLI: the first `up` changes nothing there."""

import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from adoption.importing import import_system
from dynamic_providers import credentials
from dynamic_providers.airbyte.client import SECRET_NAME, AirbyteClient
from tests.dynamic_providers.conftest import POSTGRES, S3
from tests.dynamic_providers.engine import Stack, fake_url, serve_all
from tests.dynamic_providers.estate.test_airbyte_import import (
    BRONZE,
    NIGHTLY,
    SECRETS,
    by_hand,
    state_of,
)
from tests.fakes.airbyte import Airbyte

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_the_first_up_changes_nothing(tmp_path):
    seed = secrets.token_hex(16)
    password = credentials.derive(seed, SECRET_NAME)
    fake = Airbyte(password)
    with ExitStack() as services:
        offset = serve_all(services, {"airbyte": fake.app})
        url = fake_url("airbyte", offset)
        client = AirbyteClient(url, password)
        services.callback(client.close)
        by_hand(client, POSTGRES, BRONZE, **NIGHTLY)
        before = state_of(fake)

        stack = Stack(tmp_path, Path(__file__).parent / "program")
        import_system("airbyte", url, None, password, stack.folder / "estate")
        stack.init(seed, offset)
        for name, value in SECRETS.items():
            stack.run("config", "set", "--secret", f"adopted:{name}", given=value)
        stack.run("up", "--yes")
        assert state_of(fake) == before
        assert len(stack.resources()) == 3
        exported = stack.run("stack", "export")
        assert POSTGRES["password"] not in exported and S3["secret_access_key"] not in exported
        stack.run("preview", "--expect-no-changes")
        stack.run("refresh", "--yes", "--expect-no-changes")
        assert state_of(fake) == before
