"""The commands as people call them."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.review.sample import GOLDEN, preview_text
from tests.review.steps import preview_of, step
from tools.cli import app
from tools.paths import ROOT

BUCKET = "minio:index/s3Bucket:S3Bucket"


def dataflow(*arguments: str) -> Result:
    # A stack that nobody has: the state of this checkout plays no part.
    return CliRunner().invoke(app, [*arguments, "--stack", "nowhere"])


def test_a_preview_from_a_file_becomes_a_comment(tmp_path):
    output = tmp_path / "comment.md"
    done = dataflow(
        "review", "--preview", str(GOLDEN / "first_up.preview.json"),
        "--format", "github", "--output", str(output),
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert output.read_text().startswith("<!-- dataflow: Review of stack nowhere -->")


@pytest.mark.parametrize(("fail_on", "code"), [("high", 2), ("critical", 2), ("never", 0)])
def test_the_exit_code_is_the_gate(tmp_path, fail_on, code):
    file = tmp_path / "preview.json"
    file.write_text(preview_of(step("delete", BUCKET, old={"bucket": "datalake"})))
    done = dataflow("review", "--preview", str(file), "--format", "json", "--fail-on", fail_on)
    assert done.exit_code == code, done.stderr
    assert json.loads(done.stdout)["risk"]["grade"] == "critical"


def test_sarif_findings_join_the_policies(tmp_path):
    preview, sarif = tmp_path / "preview.json", tmp_path / "findings.sarif"
    preview.write_text(preview_text("flow_change"))
    rule = {"id": "K12", "properties": {"severity": "high"}}
    found = {"ruleId": "K12", "level": "error", "message": {"text": "image without digest"}}
    tool = {"driver": {"name": "scanner", "rules": [rule]}}
    sarif.write_text(
        json.dumps({"version": "2.1.0", "runs": [{"tool": tool, "results": [found]}]})
    )
    done = dataflow("review", "--preview", str(preview), "--sarif", str(sarif), "--format", "json")
    assert done.exit_code == 0, done.stderr
    policies = json.loads(done.stdout)["policies"]
    assert [(p["policy"], p["level"], p["severity"]) for p in policies] == [
        ("K12", "mandatory", "high")
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--format", "html"], "expected one of github"),
        (["--fail-on", "huge"], "expected one of low"),
        (["--preview", "/nowhere.json"], "No such file"),
        (["--preview", str(ROOT / "Makefile")], "expected the output of pulumi preview --json"),
        (
            ["--preview", str(GOLDEN / "flow_change.preview.json"), "--base", "--output=x"],
            "expected a revision",
        ),
    ],
)
def test_what_is_wrong_is_named(arguments, named):
    done = dataflow("review", *arguments)
    assert done.exit_code == 1
    assert named in " ".join(done.stderr.split())
