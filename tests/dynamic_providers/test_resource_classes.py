"""What the resource classes register, under Pulumi's mocks."""

import asyncio
import inspect
import pickle
from base64 import b64decode

import pulumi
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from dynamic_providers.adapter import DynamicResource, HandlerProvider, serialized, token
from dynamic_providers.airbyte import resources as airbyte
from dynamic_providers.dremio import resources as dremio
from dynamic_providers.superset import resources as superset
from tests.dynamic_providers.cases import CASES

MODULES = (airbyte, dremio, superset)


class Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.seen: list[pulumi.runtime.MockResourceArgs] = []

    def new_resource(self, args):
        self.seen.append(args)
        return f"{args.name}-id", args.inputs

    def call(self, args):
        return {}


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def mocks(request):
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks = Mocks()
    pulumi.runtime.set_mocks(mocks, project="dataflow", stack="test", preview=request.param)
    yield mocks
    pulumi.runtime.settings.reset_options()


def finish() -> None:
    loop = asyncio.get_event_loop()
    loop.run_until_complete(pulumi.runtime.stack.wait_for_rpcs())


def classes(base: type) -> list[type]:
    return [
        value
        for module in MODULES
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]


PROVIDERS = [c for c in classes(HandlerProvider) if "handler" in vars(c)]
BASES = (superset.Identified, airbyte._ImageDefinition)
RESOURCES = [c for c in classes(DynamicResource) if c not in BASES]


def test_each_handler_has_one_provider_and_one_resource_class():
    kinds = sorted(provider.handler.KIND for provider in PROVIDERS)
    assert kinds == sorted(case.handler.KIND for case in CASES)
    assert len(RESOURCES) == len(PROVIDERS)
    assert all(resource.__doc__ for resource in RESOURCES)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.handler.KIND)
def test_a_provider_is_stored_as_a_short_reference_to_its_class(provider):
    text = serialized(provider)
    assert len(text) < 160
    assert type(pickle.loads(b64decode(text))) is provider
    assert not vars(provider())  # nothing of a stack can leak into state


def test_a_source_keeps_the_configuration_of_an_unknown_connector_secret(mocks):
    source = airbyte.Source("shop", name="shop", configuration={"sourceType": "other"})
    finish()
    (seen,) = mocks.seen
    assert seen.typ == "pulumi-python:dynamic/dataflow/airbyte:Source"
    assert seen.inputs["name"] == "shop"
    assert is_rpc_secret(seen.inputs["configuration"])
    assert unwrap_rpc_secret(seen.inputs["configuration"]) == {"sourceType": "other"}
    assert "workspaceId" not in seen.inputs
    loop = asyncio.get_event_loop()
    assert loop.run_until_complete(source.output("configuration").is_secret())
    assert not loop.run_until_complete(source.output("name").is_secret())
    assert loop.run_until_complete(source.source_id.future()) == "shop-id"


def test_a_secret_of_a_known_connector_stays_secret(mocks):
    configuration = {"sourceType": "postgres", "host": "db", "password": "hunter2"}
    source = airbyte.Source("shop", name="shop", configuration=configuration)
    finish()
    # Mocks see a map with a secret in it as secret: which part it is, the engine's test shows.
    assert is_rpc_secret(mocks.seen[0].inputs["configuration"])
    loop = asyncio.get_event_loop()
    assert loop.run_until_complete(source.output("configuration").is_secret())


def test_python_names_become_the_names_of_the_api(mocks):
    airbyte.Connection(
        "shop",
        name="shop",
        source_id="s",
        destination_id="d",
        streams=[],
        non_breaking_schema_updates_behavior="ignore",
    )
    dremio.AggregationReflection(
        "agg", name="agg", dataset_path=["a", "b"], dimension_fields=["day"], timeout_s=5
    )
    superset.Dataset("orders", database_uuid="u", schema="gold", table_name="orders")
    finish()
    inputs = {
        seen.typ.rpartition(":")[2]: set(seen.inputs) - {"__provider"} for seen in mocks.seen
    }
    assert inputs["Connection"] == {
        "name", "sourceId", "destinationId", "streams", "nonBreakingSchemaUpdatesBehavior"
    }  # fmt: skip
    assert inputs["AggregationReflection"] == {
        "name", "datasetPath", "dimensionFields", "timeoutS"
    }  # fmt: skip
    assert inputs["Dataset"] == {"databaseUuid", "schema", "tableName"}


def test_every_keyword_of_a_resource_class_is_an_input_of_its_handler(mocks):
    """A misspelt input would be refused by the first check of a real stack."""
    for resource in RESOURCES:
        keywords = [
            p.name
            for p in inspect.signature(resource.__init__).parameters.values()
            if p.kind is p.KEYWORD_ONLY and p.name not in ("opts", "policy")
        ]
        resource(resource.__name__, **{name: pulumi.Output.secret("x") for name in keywords})
    finish()
    by_kind = {case.handler.KIND: case.handler for case in CASES}
    for seen in mocks.seen:
        area, _, kind = seen.typ.rpartition("/")[2].partition(":")
        handler = by_kind[f"{area}/{kind}"]
        assert token(handler.KIND) == seen.typ
        unknown = {
            key: "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
            for key in seen.inputs
            if key != "__provider"
        }
        assert set(unknown) <= set(handler.normalize(unknown))


@pytest.mark.parametrize("mocks", [False], indirect=True)
def test_two_thousand_resources_of_a_kind_are_no_problem(mocks):
    for number in range(2000):
        dremio.Space(f"space-{number}", name=f"space{number}")
    finish()
    assert len(mocks.seen) == 2000
    assert len({seen.inputs["__provider"] for seen in mocks.seen}) == 1


def test_the_options_of_the_caller_are_kept(mocks):
    parent = pulumi.ComponentResource("dataflow:test:Parent", "parent")
    opts = pulumi.ResourceOptions(parent=parent, protect=True)
    child = airbyte.Source("s", name="s", configuration={"sourceType": "faker"}, opts=opts)
    finish()
    urn = asyncio.get_event_loop().run_until_complete(child.urn.future())
    assert "dataflow:test:Parent$pulumi-python:dynamic/dataflow/airbyte:Source" in urn
    assert child._protect is True
    assert opts.additional_secret_outputs is None  # not written into what the caller holds
