"""Pages on the resources: fresh, complete, and with examples that run."""

import asyncio
import runpy

import pulumi
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from dynamic_providers.adapter import token
from tests.dynamic_providers.estate.taking_over import handler_of
from tools import provider_docs
from tools.provider_docs import ROOT, TITLES, page, resources, stale

SECRETS = ("shopPassword", "storeKey", "adaPassword", "dremioPassword")


class Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.seen: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args):
        self.seen.append(args)
        # As check does: Superset's uuids follow from names.
        kind = args.typ.rpartition("/")[2].replace(":", "/")
        return f"{args.name}-id", {**args.inputs, **normalized(kind, args.inputs)}

    def call(self, args):
        return {}


def normalized(kind: str, inputs) -> dict:
    """Raises InputError for what the first check of a real stack would refuse."""
    return handler_of(kind).normalize(plain({k: v for k, v in inputs.items() if k[0] != "_"}))


def plain(value):
    if is_rpc_secret(value):
        return plain(unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


@pytest.fixture
def mocks():
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks = Mocks()
    pulumi.runtime.set_mocks(mocks, project="dataflow", stack="test")
    secrets = {f"examples:{name}": "pa55word-1" for name in SECRETS}
    pulumi.runtime.set_all_config({**secrets, "dataflow:seed": "a seed of this test"})
    yield mocks
    pulumi.runtime.set_all_config({})
    pulumi.runtime.settings.reset_options()


def test_the_pages_are_fresh():
    found = [path.name for path in stale(ROOT / "docs" / "providers")]
    assert not found, "run python -m tools.provider_docs"


def test_a_page_that_differs_is_stale(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(provider_docs, "ROOT", tmp_path)
    monkeypatch.setattr(provider_docs, "_examples", lambda area: {})
    assert provider_docs.main([]) == 0
    assert provider_docs.main(["--check"]) == 0
    (tmp_path / "docs/providers/dremio.md").write_text("old")
    assert provider_docs.main(["--check"]) == 1
    assert "docs/providers/dremio.md: stale" in capsys.readouterr().out


@pytest.mark.parametrize("area", TITLES)
def test_an_example_runs_and_passes_the_checks(area, mocks):
    runpy.run_path(str(ROOT / "examples" / f"{area}.py"))
    asyncio.get_event_loop().run_until_complete(pulumi.runtime.stack.wait_for_rpcs())
    made = {args.typ for args in mocks.seen}
    assert made == {one.token for one in resources(area)}


@pytest.mark.parametrize("area", TITLES)
def test_every_class_has_an_example_and_a_text(area):
    for one in resources(area):
        assert one.text, f"{area}.{one.name}: no docstring"
        assert one.example, f"{area}.{one.name}: add one to examples/{area}.py"


def test_what_a_page_says_of_a_field():
    source = next(one for one in resources("airbyte") if one.name == "Source")
    fields = {field.name: field for field in source.fields}
    assert source.token == token("airbyte/Source")
    assert fields["configuration"].secret and fields["configuration"].required
    assert fields["configuration"].type == "Mapping[str, Any]"
    assert "sourceType" in fields["configuration"].text
    assert fields["workspace_id"].change == "replace" and not fields["workspace_id"].required
    superset = {one.name: one for one in resources("superset")}
    fields = {field.name: field for field in superset["Dataset"].fields}
    assert fields["table_name"].change == "replace"  # the uuid follows from it
    assert fields["always_filter_main_dttm"].default == "`false`"
    assert "uuid" in superset["Dataset"].outputs
    assert "| `name` | `name` | `str` | **required** | replace |" in page("dremio")
