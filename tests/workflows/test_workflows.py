"""The workflows of GitHub Actions: pinned, with no more rights than they use, and runnable."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from typer.testing import CliRunner

from tools.cli import app
from tools.paths import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"uses: (?P<action>[\w./-]+)@(?P<digest>[0-9a-f]{40}) # v\d+\.\d+\.\d+")
OFFICIAL = ("actions/", "pulumi/")
# What a job may do beyond reading the code: what its steps need, and nothing else.
WRITES = {
    ("preview", "comment"): {"pull-requests": "write"},
    ("drift", "report"): {"issues": "write"},
}


def loaded(path) -> dict:
    return yaml.safe_load(path.read_text())


def jobs() -> Iterator[tuple[str, str, dict]]:
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            yield path.stem, name, job


def commands() -> Iterator[list[str]]:
    """Every call of bin/dataflow, as words."""
    for _workflow, _name, job in jobs():
        for step in job["steps"]:
            script = step.get("run", "").replace("\\\n", " ")
            for line in script.splitlines():
                if line.strip().startswith("bin/dataflow"):
                    words = shlex.split(line)
                    yield words[1 : words.index("||") if "||" in words else None]


def test_the_three_workflows_are_there():
    assert {path.stem for path in WORKFLOWS} == {"preview", "deploy", "drift"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_official_and_pinned_by_its_commit(path):
    lines = [line.strip("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert PINNED.fullmatch(line), line
        assert line.removeprefix("uses: ").startswith(OFFICIAL), line


def test_one_action_has_one_version_in_all_workflows():
    pins = {}
    for path in WORKFLOWS:
        for found in PINNED.finditer(path.read_text()):
            assert pins.setdefault(found["action"], found["digest"]) == found["digest"]


def test_a_workflow_has_no_rights_and_a_job_only_those_it_needs():
    for path in WORKFLOWS:
        assert loaded(path)["permissions"] == {}, path
    for workflow, name, job in jobs():
        assert job["permissions"] == WRITES.get((workflow, name), {"contents": "read"})


def test_no_job_that_may_write_runs_code_of_the_checkout():
    for workflow, name, job in jobs():
        if (workflow, name) in WRITES:
            assert not [step for step in job["steps"] if "run" in step or "checkout" in str(step)]


def test_code_of_a_fork_never_runs_where_the_state_is():
    for workflow, name, job in jobs():
        if workflow == "preview" and "self-hosted" in job["runs-on"]:
            assert job["if"] == (
                "github.event.pull_request.head.repo.full_name == github.repository"
            ), name


def test_scripts_take_values_from_the_environment_only():
    """A text of a pull request inside `${{ }}` of a script would be run."""
    for workflow, name, job in jobs():
        for step in job["steps"]:
            script = step.get("run", "") + step.get("with", {}).get("script", "")
            assert "${{" not in script, f"{workflow}/{name}"


def test_the_checkout_leaves_no_credentials_behind():
    for workflow, name, job in jobs():
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, f"{workflow}/{name}"


def test_prod_waits_for_an_approval_and_for_dev():
    deploy = loaded(FOLDER / "deploy.yml")["jobs"]
    assert deploy["prod"]["environment"] == "prod"
    assert deploy["prod"]["needs"] == "review-prod"
    assert deploy["review-prod"]["needs"] == "dev"
    for path in WORKFLOWS:
        assert "group" in loaded(path)["concurrency"]
    assert loaded(FOLDER / "deploy.yml")["concurrency"]["cancel-in-progress"] is False


def test_the_cli_that_is_installed_is_the_one_of_the_project():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    version = next(d.partition("==")[2] for d in wanted if d.startswith("pulumi=="))
    for _workflow, _name, job in jobs():
        for step in job["steps"]:
            if step.get("uses", "").startswith("pulumi/actions@"):
                assert step["with"] == {"pulumi-version": version}


@pytest.mark.parametrize("words", list(commands()), ids=lambda words: " ".join(words))
def test_every_command_exists_with_its_options(words):
    done = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", done.output), word


@pytest.mark.parametrize("target", ["preview", "drift", "up"])
def test_make_runs_the_same_commands(target):
    rules = (ROOT / "Makefile").read_text()
    verb = {"preview": "review"}.get(target, target)
    assert f"\n{target}:" in rules
    assert f"bin/dataflow {verb} --stack $(STACK)" in rules
    assert any(words[0] == verb for words in commands())


def test_actionlint_finds_nothing():
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip(
            "actionlint is missing: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
        )
    done = subprocess.run([actionlint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
