"""An exported state, judged and written down."""

import json
from datetime import date

import pytest

from policies.judged import Judged, judge_state
from policies.loading import SECRET, SIGNATURE, decoded, exported
from policies.model import Environment, Level
from policies.report import html, sarif
from policies.values import UNKNOWN, Secret
from review.policy import from_sarif

TODAY = date(2026, 11, 1)
URN = "urn:pulumi:prod::dataflow::"
CIPHER = {SIGNATURE: SECRET, "ciphertext": "v1:abc"}
STATE = {
    "deployment": {
        "resources": [
            {
                "urn": f"{URN}pulumi:pulumi:Stack::dataflow-prod",
                "type": "pulumi:pulumi:Stack",
                "outputs": {"supersetUrl": "http://bi.example.com"},
            },
            {
                "urn": f"{URN}minio:index/s3Bucket:S3Bucket::lake",
                "type": "minio:index/s3Bucket:S3Bucket",
                "protect": True,
                "inputs": {"bucket": "lake", "acl": "public-read"},
                "outputs": {"bucket": "lake", "acl": "public-read"},
            },
            {
                "urn": f"{URN}minio:index/iamUser:IamUser::<b>user",
                "type": "minio:index/iamUser:IamUser",
                "inputs": {"name": "u", "secret": CIPHER},
            },
            {
                "urn": f"{URN}minio:index/s3Bucket:S3Bucket::gone",
                "type": "minio:index/s3Bucket:S3Bucket",
                "delete": True,
                "inputs": {"acl": "public-read"},
            },
        ]
    }
}


@pytest.fixture
def judged():
    judged = Judged.of({"dataflow:runtime": "kubernetes"})
    pack = judged.pack({"F01": "disabled"}, TODAY)
    return pack, judge_state(STATE, judged, pack)


def test_a_state_is_judged_by_inputs_and_outputs(judged):
    _pack, found = judged
    messages = {(one.rule.id, one.name) for one in found}
    assert ("S02", "lake") in messages and ("X01", "dataflow-prod") in messages
    assert not any(name == "gone" for _, name in messages)
    # It is a secret, although its value cannot be read.
    assert not any(rule == "X02" for rule, _ in messages)
    assert not any(rule == "X04" and name == "lake" for rule, name in messages)


def test_the_report_for_machines_is_read_by_a_review(judged):
    pack, found = judged
    text = sarif(pack, found)
    run = json.loads(text)["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]][0] == "K01"
    assert "F01" not in [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    read = from_sarif(text)
    assert len(read) == len(found)
    [public] = [one for one in read if one.policy == "S02"]
    assert (public.level, public.severity, public.resource) == ("mandatory", "high", "lake")


def test_the_report_for_people_escapes_what_the_program_named(judged):
    pack, found = judged
    page = html(pack, found, stack="<prod>", today=TODAY)
    assert "<b>user" not in page and "&lt;b&gt;user" in page and "&lt;prod&gt;" in page
    assert all(f"<td>{one.rule.id}<td" in page for one in pack.rules)


def test_marks_of_the_engine_are_decoded():
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    given = {"a": [unknown, {SIGNATURE: SECRET, "value": "x"}], "b": CIPHER}
    assert decoded(given) == {"a": [UNKNOWN, Secret("x")], "b": Secret(UNKNOWN)}
    assert "x" not in repr(Secret("x")).replace("Secret", "")


def test_files_of_the_project_are_read_and_no_others():
    state = {
        "deployment": {
            "resources": [
                {
                    "urn": f"{URN}t::{name}",
                    "type": "t",
                    "inputs": {"environment": {"SUPERSET_CONFIG_PATH": path}, "files": {}},
                }
                for name, path in (
                    ("own", "services/superset/superset_config.py"),
                    ("foreign", "/etc/passwd"),
                )
            ]
        }
    }
    given, _became = exported(state)
    texts = {one.name: one.props["files"].member("superset_config.py") for one in given}
    assert "SESSION_COOKIE_SECURE" in texts["own"].text
    assert texts["foreign"].missing


def test_an_environment_that_nobody_knows_is_judged_as_production():
    assert Judged.of({"dataflow:runtime": "nomad"}).environment is Environment.PROD
    assert Judged.of({}).environment is Environment.LOCAL
    level = {one.rule.id: one.level for one in Judged.of({}).pack({}, TODAY).rules}
    assert level["X02"] is Level.MANDATORY
