"""Today's code against the state of each release: nothing changes but what is documented."""

import json
from pathlib import Path

import pytest
import yaml

from dynamic_providers.credentials import SEED_KEY
from tests.upgrade.states import NAME, read, releases
from tools.paths import ROOT, Paths
from tools.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

# release -> name of a resource that an upgrade from it changes -> why. A replaced connection or
# bucket has no place here: it would lose data.
DOCUMENTED: dict[str, dict[str, str]] = {}


@pytest.fixture
def stack(tmp_path: Path):
    """Over a state of its own, with the tools that are installed."""
    installed = Paths.find()
    if not (installed.bin / "pulumi").exists():
        pytest.skip("the engine is not installed: run bin/dataflow bootstrap")
    home = tmp_path / "home"
    home.mkdir()
    for folder in (installed.bin, installed.opt, installed.venvs, installed.pulumi_home):
        (home / folder.name).symlink_to(folder)
    stack = Stack(name=NAME, paths=Paths(root=ROOT, home=home))
    if stack.config_file.exists():
        pytest.skip(f"{stack.config_file} exists: a release is being recorded")
    yield stack
    stack.config_file.unlink(missing_ok=True)


def test_there_is_a_state_to_upgrade_from():
    if not releases():
        pytest.skip("no release has been recorded yet: run python -m tests.upgrade.record")


@pytest.mark.parametrize("release", releases())
def test_an_upgrade_changes_what_is_documented(stack, release, tmp_path):
    recorded = read(release, stack.paths)
    stack.config_file.write_text(yaml.safe_dump({"config": recorded.config}))
    stack.answer("stack", "init", "--secrets-provider", "passphrase")
    state = tmp_path / "state.json"
    state.write_text(json.dumps(recorded.state))
    stack.answer("stack", "import", "--file", str(state))
    stack.answer("config", "set", "--secret", SEED_KEY, recorded.seed)
    steps = json.loads(stack.answer("preview", "--json"))["steps"]
    changed = {
        step["urn"].rpartition("::")[2]: (step["op"], sorted(step.get("detailedDiff") or ()))
        for step in steps
        if step["op"] != "same"
    }
    documented = DOCUMENTED.get(release, {})
    assert {name: what for name, what in changed.items() if name not in documented} == {}
    assert set(documented) <= set(changed), "no longer changed: take it off the list"
