"""The adapter as the engine sees it: `python -m pulumi.dynamic` over gRPC, without the engine."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub
from pulumi.runtime.rpc import _special_secret_sig, _special_sig_key

from dynamic_providers import credentials, endpoints
from dynamic_providers.adapter import serialized
from dynamic_providers.airbyte.resources import ConnectionProvider, SourceProvider
from dynamic_providers.dremio.resources import PhysicalDatasetProvider
from dynamic_providers.dremio.resources import SourceProvider as Dremio
from dynamic_providers.dremio.source import minio_config
from dynamic_providers.handler import UNKNOWN
from tests.fakes.airbyte import Airbyte
from tests.fakes.serving import serving

ROOT = Path(__file__).parents[2]
SEED = "seed-of-the-stack-that-must-not-show"
PASSWORD = "pa55word-of-the-shop"
CONFIGURATION = {
    "sourceType": "postgres",
    "host": "127.0.0.1",
    "port": 5432,
    "database": "shop",
    "username": "reader",
    "password": PASSWORD,
}


def struct(values: dict) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(values)
    return message


def plain(message: struct_pb2.Struct) -> dict:
    return json_format.MessageToDict(message)


def secret(value: str) -> dict:
    return {_special_sig_key: _special_secret_sig, "value": value}


@contextmanager
def provider_server(config: dict):
    command = [sys.executable, "-m", "pulumi.dynamic"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {}
    )
    try:
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = ResourceProviderStub(channel)
            stub.Configure(messages.ConfigureRequest(args=struct(config)))
            yield stub
    finally:
        process.terminate()
        _, written = process.communicate(timeout=10)
    for hidden in (SEED, PASSWORD):
        assert hidden not in written.decode()


@pytest.fixture(scope="module")
def airbyte_fake():
    return Airbyte(credentials.derive(SEED, "airbyte-client"))


@pytest.fixture(scope="module")
def config(airbyte_fake):
    with serving(airbyte_fake.app) as url:
        offset = int(url.rpartition(":")[2]) - endpoints.PORTS["airbyte"]
        yield {
            "dataflow:seed": secret(SEED),
            "dataflow:portOffset": str(offset),
            "airbyte:url": url,
        }


@pytest.fixture(scope="module")
def stub(config):
    with provider_server(config) as stub:
        yield stub


def props(provider, **values) -> struct_pb2.Struct:
    return struct({**values, "__provider": serialized(provider)})


def checked(stub, provider, **values):
    return stub.Check(messages.CheckRequest(olds=struct({}), news=props(provider, **values)))


def test_check_fills_defaults_and_keeps_unknowns(stub):
    answer = checked(
        stub,
        ConnectionProvider,
        name="shop",
        sourceId=UNKNOWN,
        destinationId=UNKNOWN,
        streams=[{"name": "orders", "syncMode": "incremental_append", "cursorField": "at"}],
    )
    assert not answer.failures
    inputs = plain(answer.inputs)
    assert inputs["sourceId"] == UNKNOWN
    assert inputs["schedule"] == {"scheduleType": "manual"}
    assert inputs["streams"][0]["cursorField"] == ["at"]
    assert inputs["__provider"] == serialized(ConnectionProvider)


def test_check_names_the_wrong_input(stub):
    streams = [{"name": "orders", "syncMode": "sometimes"}]
    answer = checked(
        stub, ConnectionProvider, name="shop", sourceId="s", destinationId="d", streams=streams
    )
    assert [failure.property for failure in answer.failures] == ["streams[0].syncMode"]
    assert "incremental_append" in answer.failures[0].reason  # the valid choices


def test_check_names_the_wrong_setting_of_a_connector_without_its_value(stub):
    wrong = {**CONFIGURATION, "port": PASSWORD}
    answer = checked(stub, SourceProvider, name="shop", configuration=wrong)
    (failure,) = answer.failures
    assert failure.property == "configuration.port"
    assert failure.reason == "expected integer, got str"


def test_check_refuses_to_lose_state_unless_it_is_allowed(stub):
    stream = {"name": "orders", "syncMode": "incremental_append", "cursorField": "at"}
    inputs = {"name": "shop", "sourceId": "s", "destinationId": "d", "streams": [stream]}
    olds = checked(stub, ConnectionProvider, **inputs).inputs
    inputs["streams"] = [{**stream, "cursorField": "id"}]

    def again(**more):
        news = props(ConnectionProvider, **inputs, **more)
        return stub.Check(messages.CheckRequest(olds=olds, news=news)).failures

    (failure,) = again()
    assert failure.property == "streams"
    assert "orders: cursorField ['at'] becomes ['id']" in failure.reason
    assert not again(allowReset=True)


def diffed(stub, provider, olds: dict, news: dict):
    return stub.Diff(
        messages.DiffRequest(id="x", olds=props(provider, **olds), news=props(provider, **news))
    )


def test_diff_leaves_the_comparison_to_the_engine_and_names_real_replacements(stub):
    old = {"path": ["lake", "orders"], "format": {"type": "Parquet"}}
    same = diffed(stub, PhysicalDatasetProvider, old, {**old, "format": {"type": "JSON"}})
    assert same.changes == messages.DiffResponse.DIFF_UNKNOWN
    assert list(same.replaces) == []
    moved = diffed(stub, PhysicalDatasetProvider, old, {**old, "path": ["lake", "orders2"]})
    assert list(moved.replaces) == ["path"]
    assert not moved.deleteBeforeReplace


@pytest.mark.parametrize("source_id", ["s2", UNKNOWN])
def test_a_replacement_that_keeps_the_name_deletes_first(stub, source_id):
    """Otherwise the new object would be adopted as the old one, and deleted with it."""
    old = {"name": "shop", "sourceId": "s1", "destinationId": "d", "streams": []}
    answer = diffed(stub, ConnectionProvider, old, {**old, "sourceId": source_id})
    assert list(answer.replaces) == ["sourceId"]
    assert answer.deleteBeforeReplace


def test_life_cycle(stub, airbyte_fake):
    inputs = checked(stub, SourceProvider, name="shop", configuration=CONFIGURATION).inputs
    created = stub.Create(messages.CreateRequest(properties=inputs))
    assert created.id in airbyte_fake.actors["sources"]
    # Inputs under their own names: the engine takes secretness from there.
    assert created.properties == inputs
    stored = airbyte_fake.actors["sources"][created.id]["configuration"]
    assert stored["password"] == PASSWORD
    assert isinstance(stored["port"], int)  # a float on the wire

    found = stub.Read(messages.ReadRequest(id=created.id, properties=created.properties))
    assert (found.id, found.inputs) == (created.id, inputs)

    news = props(SourceProvider, name="shop", configuration={**CONFIGURATION, "port": 5433})
    updated = stub.Update(
        messages.UpdateRequest(id=created.id, olds=created.properties, news=news)
    )
    assert plain(updated.properties)["configuration"]["port"] == 5433
    assert airbyte_fake.actors["sources"][created.id]["configuration"]["port"] == 5433

    stub.Delete(messages.DeleteRequest(id=created.id, properties=updated.properties))
    gone = stub.Read(messages.ReadRequest(id=created.id, properties=updated.properties))
    assert gone.id == ""
    with pytest.raises(grpc.RpcError, match="pulumi refresh"):
        stub.Update(messages.UpdateRequest(id=created.id, olds=news, news=news))


def test_an_error_names_kind_key_and_next_step_but_no_secret(stub, airbyte_fake):
    configuration = {**CONFIGURATION, "sourceType": None}
    with pytest.raises(grpc.RpcError) as raised:
        stub.Create(
            messages.CreateRequest(
                properties=props(
                    ConnectionProvider,
                    name="orphan",
                    sourceId="no-such-source",
                    destinationId="d",
                    streams=[{"name": "a", "syncMode": "full_refresh_append"}],
                )
            )
        )
    text = raised.value.details()
    assert "airbyte/Connection 'orphan': create failed" in text
    assert "no-such-source" in text
    assert "then run pulumi up again" in text
    with pytest.raises(grpc.RpcError) as raised:
        stub.Create(
            messages.CreateRequest(
                properties=props(SourceProvider, name="shop", configuration=configuration)
            )
        )
    assert "configuration" in raised.value.details()
    assert PASSWORD not in raised.value.details()


def test_nothing_is_called_before_it_is_needed(stub, airbyte_fake):
    before = len(airbyte_fake.requests)
    checked(stub, SourceProvider, name="quiet", configuration=CONFIGURATION)
    old = {"name": "quiet", "configuration": CONFIGURATION}
    diffed(stub, SourceProvider, old, {**old, "name": "quieter"})
    assert len(airbyte_fake.requests) == before


def test_without_a_seed_the_message_says_how_to_set_it():
    with provider_server({}) as stub, pytest.raises(grpc.RpcError, match="config set --secret"):
        stub.Create(
            messages.CreateRequest(
                properties=props(
                    Dremio, name="lake", type="S3", config=minio_config("h:1", "a", "s", ["b"])
                )
            )
        )


def test_calls_in_parallel_share_one_client(stub, airbyte_fake):
    requests = [
        stub.Create.future(
            messages.CreateRequest(
                properties=props(SourceProvider, name=f"s{n}", configuration=CONFIGURATION)
            )
        )
        for n in range(12)
    ]
    ids = {request.result(timeout=60).id for request in requests}
    assert len(ids) == 12
