"""`bin/dataflow policy`: the list, the report and its exit code; the page on the rules."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from policies import judged
from policies.model import Level
from tests.policies.test_report import STATE
from tools import cli, policing, policy_docs
from tools.paths import Paths
from tools.stack import Stack


class Exported(Stack):
    """A stack whose state is at hand, without an engine."""

    exists = True

    def answer(self, *arguments: str) -> str:
        assert arguments == ("stack", "export")
        return json.dumps(STATE)

    def configuration(self) -> dict[str, object]:
        return {"dataflow:runtime": "kubernetes"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    stack = Exported(name="exported", paths=Paths(root=tmp_path, home=tmp_path))
    monkeypatch.setattr(cli, "_stack", lambda name: stack)
    return lambda *arguments: CliRunner().invoke(cli.app, ["policy", *arguments])


def test_the_list_shows_levels_of_the_stack(run):
    done = run("list")
    assert done.exit_code == 0 and "K30   low       advisory" in done.stdout


def test_a_broken_mandatory_rule_is_an_exit_code(run):
    done = run("report")
    assert done.exit_code == policing.BROKEN
    assert 'mandatory S02 lake: acl is "public-read"' in done.stdout


def test_the_report_is_written(run, tmp_path):
    for format_ in policing.FORMATS:
        output = tmp_path / format_
        done = run("report", "--format", format_, "--output", str(output))
        assert done.exit_code == policing.BROKEN and "S02" in output.read_text()
    assert json.loads((tmp_path / "sarif").read_text())["version"] == "2.1.0"


def test_a_format_that_there_is_not_is_named(run):
    done = run("report", "--format", "pdf")
    assert done.exit_code == 1 and "expected one of html, sarif" in done.stderr


def test_a_configuration_of_the_stack_counts(run, tmp_path, monkeypatch):
    monkeypatch.setattr(judged, "CONFIG_FOLDER", tmp_path)
    (tmp_path / "exported.json").write_text('{"all": "advisory"}')
    assert run("report").exit_code == 0
    (tmp_path / "exported.json").write_text('{"K99": "advisory"}')
    done = run("report")
    assert done.exit_code == 1 and "'K99': unknown rule" in done.stderr


def test_preview_and_up_run_the_pack(tmp_path, monkeypatch):
    stack = Stack(name="local", paths=Paths(root=tmp_path, home=tmp_path))
    monkeypatch.setattr(judged, "CONFIG_FOLDER", tmp_path)
    assert policing.pack_arguments(stack) == ["--policy-pack", str(tmp_path / "policies")]
    (tmp_path / "local.json").write_text("{}")
    assert policing.pack_arguments(stack)[2:] == [
        "--policy-pack-config",
        str(tmp_path / "local.json"),
    ]


def test_up_runs_the_mandatory_rules_alone_and_counts_the_others(tmp_path):
    stack = Exported(name="exported", paths=Paths(root=tmp_path, home=tmp_path))
    with policing.mandatory_rules(stack) as arguments:
        given = json.loads(Path(arguments[3]).read_text())
    assert arguments[:3] == ["--policy-pack", str(tmp_path / "policies"), "--policy-pack-config"]
    judged_, pack = policing.pack_of(stack)
    advisory = {one.rule.id for one in pack.rules if one.level is Level.ADVISORY}
    assert given == dict.fromkeys(advisory, "disabled")
    pack = judged_.pack({"S02": "advisory"}, pack.today)
    console = Console(file=io.StringIO(), width=300)
    policing.show_counts(stack, policing.findings(stack, judged_, pack), console)
    shown = console.file.getvalue()
    assert "policies: 1 advisory findings (S02 1), shown by bin/dataflow policy report" in shown


def test_the_page_is_fresh():
    path = policy_docs.ROOT / policy_docs.PAGE
    assert path.read_text() == policy_docs.page(), "run python -m tools.policy_docs"


def test_a_page_that_differs_is_stale(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(policy_docs, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    assert policy_docs.main([]) == 0
    assert policy_docs.main(["--check"]) == 0
    Path(tmp_path / "docs/policies.md").write_text("old")
    assert policy_docs.main(["--check"]) == 1
    assert "docs/policies.md: stale" in capsys.readouterr().out
