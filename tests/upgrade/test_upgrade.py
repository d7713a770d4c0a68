"""Today's code against the state of each release: nothing changes but what is documented."""

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from dynamic_providers.credentials import SEED_KEY
from review.loss import EXPIRY, LOSS, NEW_EXPIRY, RESYNC, losses
from review.preview import load
from tests.upgrade.states import NAME, read, releases
from tools.paths import ROOT, Paths
from tools.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

# What an upgrade changes: release -> name of a resource, or a pattern of names -> why. A line more
# for a change more. What could lose data has no place here, and is refused even if it is named.
DOCUMENTED: dict[str, dict[str, str]] = {
    "0.1.0": {
        "search-airbyte-logs-cleaner-*": "the pipeline deletes the logs of syncs after 90 days",
        "search-audit-*": "the audit log, with a user that may add to it and read it",
        "pipeline-process": "it gets the address of the logs and the login that deletes them, and "
        "serves metrics of other products",
        "dbt-build-run": "it has the configuration of the pipeline",
        "elasticsearch-process": "it starts with half of the processor time",
        "prometheus-process": "it has rules, and more to scrape",
        "search-metrics-*": "a user that may see the state of Elasticsearch and nothing else",
    },
}
# In every preview of a recorded state: this machine has none of the stack's files.
ABSENT = {"*-certificate": "it is issued anew"}


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
    # It comes decrypted: the engine encrypts it for this stack, not for the recorded one.
    salt = yaml.safe_load(stack.config_file.read_text())["encryptionsalt"]
    recorded.state["deployment"]["secrets_providers"]["state"] = {"salt": salt}
    state = tmp_path / "state.json"
    state.write_text(json.dumps(recorded.state))
    stack.answer("stack", "import", "--file", str(state))
    stack.answer("config", "set", "--secret", SEED_KEY, recorded.seed)
    plan = load(stack.answer("preview", "--json"))
    changed = {step.name: (step.op, [field.path for field in step.fields]) for step in plan.steps}
    documented = DOCUMENTED.get(release, {}) | ABSENT
    assert not [loss for loss in losses(plan) if loss.effect in (LOSS, EXPIRY, NEW_EXPIRY, RESYNC)]
    assert {name: what for name, what in changed.items() if not named(name, documented)} == {}
    idle = [pattern for pattern in documented if not any(fnmatch(n, pattern) for n in changed)]
    assert not idle, "no longer changed: take it off the list"


def named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
