"""The pack under the real CLI, through the language host."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dynamic_providers.engine import ROOT, Stack
from tests.support.deployed import small_stack

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
PACK = ("--policy-pack", str(ROOT / "policies"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("pack"), Path(__file__).parent / "program")
    stack.init("a seed that only this test knows", 0)
    stack.run("config", "set", "runtime", "kubernetes")
    yield stack


def test_a_clean_program_passes(stack):
    stack.run("config", "set", "broken", "false")
    printed = stack.run("preview", *PACK)
    assert "[mandatory]" not in printed and "[advisory]" not in printed


def test_a_violating_program_is_refused_and_told_why(stack, tmp_path):
    stack.run("config", "set", "broken", "true")
    printed = stack.run("preview", *PACK, fails=True)
    for rule in ("R01", "R03", "F05", "X01"):  # R01 and X01 are advisory on other runtimes
        assert re.search(rf"\[mandatory\].* {rule} ", printed), printed
    assert "set refresh and grace period of the source" in printed
    assert "hunter22" not in printed
    # Unknown in a preview: not judged, and no complaint that it cannot be.
    assert "can't be known" not in printed and " X06 " not in printed


def test_a_configuration_disables_and_excepts(stack, tmp_path):
    stack.run("config", "set", "broken", "true")
    exception = {
        "exceptions": [
            {"resource": "board", "owner": "bi", "reason": "demo", "expires": "2999-01-01"}
        ]
    }
    file = tmp_path / "policies.json"
    levels = {"R01": "advisory", "R03": "disabled", "X01": "disabled", "F05": exception}
    file.write_text(json.dumps(levels))
    printed = stack.run("preview", *PACK, "--policy-pack-config", str(file))
    assert " R01 " in printed
    for rule in ("R03", "F05", "X01"):
        assert f" {rule} " not in printed


def test_a_wrong_configuration_is_refused_by_the_schema(stack, tmp_path):
    file = tmp_path / "policies.json"
    file.write_text(json.dumps({"K12": {"registries": "docker.io"}}))
    printed = stack.run("preview", *PACK, "--policy-pack-config", str(file), fails=True)
    assert "registries" in printed


def test_the_first_preview_of_a_new_stack_passes():
    """Providers wait for a certificate that is not there yet: the engine knows nothing of what
    they would make."""
    with small_stack(f"policies-{os.getpid()}") as new:
        new.create()
        printed = new.answer("preview", *PACK)
    assert " to create" in printed and "[mandatory]" not in printed
