"""A stack keeps its seed: a checkout without it must not invent another, and a plan needs none."""

import json
import shutil

import pytest

from dynamic_providers.credentials import SEED_KEY
from tools.paths import ROOT, Paths
from tools.stack import Stack, StackError


def test_a_deployed_stack_without_its_settings_file_is_refused(tmp_path):
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    stack = Stack(name="team", paths=Paths(root=tmp_path, home=tmp_path / "home"))
    state = stack.paths.state / ".pulumi" / "stacks" / "dataflow" / "team.json"
    state.parent.mkdir(parents=True)
    resources = [{"urn": "urn:pulumi:team::dataflow::pulumi:pulumi:Stack::dataflow-team"}]
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    with pytest.raises(StackError, match=r"Pulumi\.team\.yaml does not hold its dataflow:seed"):
        stack.create()
    assert not (tmp_path / "Pulumi.team.yaml").exists()


def publish_authority(stack: Stack) -> None:
    """As a program whose services run in containers does it."""
    stack.ca_file.parent.mkdir(parents=True)
    stack.ca_file.write_text("a certificate")


@pytest.mark.engine
def test_the_authoritys_certificate_goes_with_the_stack(stack):
    stack.create()
    publish_authority(stack)
    stack.destroy()
    assert stack.exists and not stack.directory.exists()


@pytest.mark.engine
@pytest.mark.parametrize("settings", [None, "config:\n  dataflow:runtime: docker\n"])
def test_a_plan_leaves_neither_a_stack_nor_a_seed(stack, settings):
    if settings:
        stack.config_file.write_text(settings)
    with pytest.raises(KeyboardInterrupt), stack.planned():
        assert stack.exists and SEED_KEY in stack.configuration()
        publish_authority(stack)
        raise KeyboardInterrupt  # in the middle of it
    assert not stack.exists and not stack.directory.exists()
    assert (stack.config_file.read_text() if stack.config_file.exists() else None) == settings


@pytest.mark.engine
def test_a_plan_keeps_what_up_has_made(stack):
    stack.create()
    settings = stack.config_file.read_text()
    with stack.planned():
        pass
    assert stack.exists and stack.config_file.read_text() == settings
