"""A stack keeps its seed: a checkout without it must not invent another."""

import json
import shutil

import pytest

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
