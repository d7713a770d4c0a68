"""Drift and failing policies as the real CLI reports them, over a fake of Dremio."""

import secrets
from contextlib import ExitStack

import pytest

from dynamic_providers import credentials
from dynamic_providers.dremio import first_user, space
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.endpoints import PORTS
from flow.commerce import FLOW
from review.cli import judge, read, written
from review.risk import Grade
from tests.dynamic_providers.engine import ROOT, Stack, serve_all
from tests.fakes.dremio import Dremio
from tools import reviewing
from tools.paths import Paths
from tools.stack import Stack as ToolStack

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

PROGRAM = """
from dynamic_providers.dremio import resources
gold = resources.Space("gold", name="gold")
resources.Space("scratch", name="scratch")
resources.View("orders", path=["gold", "orders"], sql="SELECT 1 AS a",
               opts=__import__("pulumi").ResourceOptions(depends_on=[gold]))
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def no_scratch(args, report):
    if args.props.get("name") == "scratch":
        report("a space for scratch work: name it after what is in it")

PolicyPack("trial", policies=[ResourceValidationPolicy(
    name="no-scratch", description="Spaces have names that say something.",
    enforcement_level=EnforcementLevel.MANDATORY, validate=no_scratch)])
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A stack with a view and two spaces as the commands know it, and the fake that holds them."""
    folder = tmp_path_factory.mktemp("review")
    source = folder / "source"
    source.mkdir()
    (source / "Pulumi.yaml").write_text("name: dataflow\nruntime: python\n")
    (source / "__main__.py").write_text(PROGRAM)
    seed, fake = secrets.token_hex(16), Dremio()
    with ExitStack() as running:
        offset = serve_all(running, {"dremio": fake.app})
        url = f"http://127.0.0.1:{PORTS['dremio'] + offset}"
        client = DremioClient(url, credentials.derive(seed, "dremio-admin"))
        first_user.create(client, first_user.normalize({}))
        engine = Stack(folder, source)
        engine.init(seed, offset)
        engine.run("up", "--yes", "--skip-preview")
        home = folder / "home"
        (home / "bin").symlink_to(Paths.find().bin)
        stack = ToolStack(name="test", paths=Paths(root=engine.folder, home=home))
        yield stack, client
        client.close()


def reviewed(text: str):
    return judge(read(text), root=ROOT, flow=FLOW, base="")


def test_what_was_changed_by_hand_is_drift(deployed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stack, client = deployed
    assert reviewed(reviewing.drifted(stack)).counts == {}

    live = client.by_path(["gold", "orders"])
    client.put_tagged(f"/catalog/{live['id']}", live, lambda now: {**now, "sql": "SELECT 2 AS a"})
    space.delete(client, "scratch", {"name": "scratch"})
    assert client.by_path(["scratch"]) is None

    text = reviewing.drifted(stack)
    found = reviewed(text)
    assert found.counts == {"update": 1, "delete": 1}
    report = written(found, format_="github", title="Drift of stack test")
    assert '- sql: "SELECT 1 AS a"' in report
    assert '+ sql: "SELECT 2 AS a"' in report
    assert "@@ - dremio:Space scratch @@" in report
    assert "table `gold.orders`" in report


def test_failing_policies_of_the_pack_reach_the_review(deployed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stack, _client = deployed
    pack = stack.paths.root / "policies"
    pack.mkdir()
    options = f"runtime:\n  name: python\n  options:\n    virtualenv: {ROOT / '.venv'}\n"
    (pack / "PulumiPolicy.yaml").write_text(f"description: trial\nversion: 1.0.0\n{options}")
    (pack / "__main__.py").write_text(PACK)
    found = reviewed(reviewing.planned(stack))
    (violation,) = found.preview.violations
    assert (violation.policy, violation.level, violation.resource) == (
        "no-scratch",
        "mandatory",
        "scratch",
    )
    assert "a space for scratch work" in violation.message
    assert found.risk.grade is Grade.HIGH
