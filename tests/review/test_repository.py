"""The deployed dbt project is found in the history by its digest."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flow.commerce import FLOW
from flow.dbt import digest
from review.lineage import as_json, from_json, of_flow
from review.preview import Preview, load
from review.repository import RepositoryError, current, dbt_change, files_at, lineage_at
from tests.review.steps import preview_of, step
from tools.paths import ROOT

JOB = "pulumi-python:dynamic/dataflow/local:Job"


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three commits of one model, whose column is a, b and c."""
    models = tmp_path / "dbt_project" / "models"
    models.mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main")
    for column in "abc":
        (models / "m.sql").write_text(f"SELECT {column} FROM {{{{ ref('x') }}}}")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", column)
        git(tmp_path, "tag", column)
    return tmp_path


def deployed(digest_: str) -> Preview:
    old, new = {"triggers": {"dbtProject": digest_}}, {"triggers": {"dbtProject": "new"}}
    diff = {"triggers.dbtProject": "update"}
    return load(preview_of(step("update", JOB, "dbt-build-run", old=old, new=new, diff=diff)))


def test_the_deployed_revision_is_found(root):
    found = dbt_change(deployed(digest(files_at(root, "a"))), root, current(root), "")
    assert found.exact
    (change,) = found.models
    assert (change.added, change.removed) == (("c",), ("a",))


def test_a_base_that_is_not_what_is_deployed_gives_way_to_what_is(root):
    found = dbt_change(deployed(digest(files_at(root, "a"))), root, current(root), "b")
    assert found.exact
    assert found.models[0].removed == ("a",)


def test_without_the_deployed_revision_the_base_is_compared_and_said_to_be_inexact(root):
    found = dbt_change(deployed("unknown"), root, current(root), "b")
    assert not found.exact
    assert found.models[0].removed == ("b",)


def test_without_either_every_model_may_have_changed(root):
    assert dbt_change(deployed("unknown"), root, current(root), "").models is None


def test_outside_a_repository_every_model_may_have_changed(tmp_path):
    (tmp_path / "dbt_project").mkdir()
    assert dbt_change(deployed("unknown"), tmp_path, current(tmp_path), "").models is None


def test_no_change_of_the_job_is_no_change_of_the_project(root):
    assert dbt_change(load(preview_of()), root, current(root), "") is None


@pytest.mark.parametrize("base", ["nowhere", "--output=/tmp/x", ""])
def test_a_base_that_is_no_revision_is_refused(root, base):
    with pytest.raises(RepositoryError):
        files_at(root, base)


def test_what_followed_in_another_revision_is_known(root):
    """The flow of that revision, although the one of this process is loaded already."""
    shutil.copytree(ROOT / "flow", root / "flow", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "review").symlink_to(ROOT / "review")
    commerce = root / "flow" / "commerce.py"
    commerce.write_text(commerce.read_text().replace("raw_customers", "other_customers"))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "flow")
    found = lineage_at(root, "HEAD", "flow.commerce:FLOW")
    assert "reflection other_customers" in found.downstream(["table bronze.customers"])
    assert lineage_at(root, "a", "flow.commerce:FLOW") is None
    both = of_flow(FLOW).merged(found).downstream(["table bronze.customers"])
    assert {"reflection other_customers", "reflection raw_customers"} <= set(both)
    assert from_json(as_json(found)) == found
