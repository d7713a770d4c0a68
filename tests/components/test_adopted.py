"""The adoption list as resources, under Pulumi's mocks."""

import asyncio

import pulumi
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from adoption.listing import ID, SECRET, WITHIN, Adopted, Listing
from components.adopted import adopted


class Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.seen: dict[str, pulumi.runtime.MockResourceArgs] = {}

    def new_resource(self, args):
        self.seen[args.name] = args
        return f"{args.name}-id", args.inputs

    def call(self, args):
        return {}


@pytest.fixture
def mocks():
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks = Mocks()
    pulumi.runtime.set_mocks(mocks, project="dataflow", stack="test")
    pulumi.runtime.set_all_config({"adopted:shop-password": "a/b"})
    yield mocks
    pulumi.runtime.set_all_config({})
    pulumi.runtime.settings.reset_options()


def listing_file(tmp_path, *objects: Adopted):
    path = tmp_path / "adoption-superset.json"
    path.write_text(Listing(service="superset", url="u", objects=objects).to_json())
    return path


DATABASE = Adopted(
    name="warehouse", kind="superset/Database", key="k", id="i",
    inputs={
        "name": "Warehouse",
        "sqlalchemyUri": {SECRET: "shop-password", WITHIN: "postgresql://me:{}@host/db"},
    },
)  # fmt: skip
DATASET = Adopted(
    name="orders", kind="superset/Dataset", key="k2", id="i2", depends_on=("warehouse",),
    inputs={"databaseUuid": {ID: "warehouse"}, "schema": "gold", "tableName": "orders"},
)  # fmt: skip


def test_placeholders_are_filled_and_secrets_stay_secret(mocks, tmp_path):
    resources = adopted(listing_file(tmp_path, DATABASE, DATASET))
    asyncio.get_event_loop().run_until_complete(pulumi.runtime.stack.wait_for_rpcs())
    assert list(resources) == ["warehouse", "orders"]
    uri = mocks.seen["warehouse"].inputs["sqlalchemyUri"]
    assert is_rpc_secret(uri)
    assert unwrap_rpc_secret(uri) == "postgresql://me:a%2Fb@host/db"
    assert mocks.seen["orders"].typ == "pulumi-python:dynamic/dataflow/superset:Dataset"
    assert mocks.seen["orders"].inputs["databaseUuid"] == "warehouse-id"


def test_a_secret_that_is_not_set_is_named(mocks, tmp_path):
    pulumi.runtime.set_all_config({})
    with pytest.raises(pulumi.ConfigMissingError, match="adopted:shop-password"):
        adopted(listing_file(tmp_path, DATABASE))


def test_an_unknown_kind_is_named(mocks, tmp_path):
    odd = Adopted(name="x", kind="superset/Nothing", key="k", id="i", inputs={})
    with pytest.raises(ValueError, match="superset/Nothing"):
        adopted(listing_file(tmp_path, odd))
