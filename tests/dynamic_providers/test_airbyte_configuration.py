"""Connector configurations against the specifications that are shipped."""

import json

import jsonschema
import pytest

from dynamic_providers.airbyte import destination, source, specifications
from dynamic_providers.handler import UNKNOWN, InputError

POSTGRES = {
    "sourceType": "postgres",
    "host": "db",
    "port": 5432.0,
    "database": "shop",
    "username": "reader",
    "password": "pa55word-of-the-shop",
    "schemas": ["public"],
    "replication_method": {
        "method": "CDC",
        "replication_slot": "slot",
        "publication": "pub",
        "initial_waiting_seconds": 300,
    },
}
S3 = {
    "destinationType": "s3",
    "s3_bucket_name": "datalake",
    "s3_bucket_path": "bronze",
    "s3_bucket_region": "us-east-1",
    "format": {"format_type": "Parquet", "compression_codec": "SNAPPY"},
}
ELASTICSEARCH = {
    "destinationType": "elasticsearch",
    "endpoint": "http://127.0.0.1:9200",
    "authenticationMethod": {"method": "basic", "username": "u", "password": "p"},
}
CDC = POSTGRES["replication_method"]


@pytest.mark.parametrize("name", sorted(specifications.DEFINITIONS.values()))
def test_a_specification_is_a_valid_schema(name):
    schema = json.loads((specifications.FOLDER / f"{name}.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    assert specifications.find(*name.split("-", 1), None) == schema


@pytest.mark.parametrize(
    ("handler", "configuration"),
    [
        (source, POSTGRES),
        (source, {**POSTGRES, "ssl_mode": {"mode": "prefer"}, "not_described": [1]}),
        (source, {"sourceType": "faker", "count": 1000}),
        (source, {"sourceType": "other", "port": "any"}),
        (destination, S3),
        (destination, {**S3, "format": {"format_type": "JSONL"}}),
        (destination, ELASTICSEARCH),
        (source, {**POSTGRES, "port": UNKNOWN, "password": UNKNOWN, "schemas": UNKNOWN}),
        (source, {**POSTGRES, "replication_method": UNKNOWN, "ssl_mode": {"mode": UNKNOWN}}),
        (source, {**POSTGRES, "replication_method": {**CDC, "publication": UNKNOWN}}),
    ],
)
def test_a_right_configuration_is_accepted(handler, configuration):
    spec = handler.normalize({"name": "x", "configuration": configuration})
    assert handler.normalize(spec) == spec


@pytest.mark.parametrize(
    ("handler", "configuration", "field", "says"),
    [
        (source, {**POSTGRES, "port": "5432"}, "port", "expected integer, got str"),
        (source, {**POSTGRES, "port": 70_000}, "port", "70000: expected maximum 65536"),
        (source, {**POSTGRES, "host": ""}, "host", "expected minLength 1"),
        (source, {"sourceType": "postgres", "host": UNKNOWN}, "port", "missing"),
        (source, {**POSTGRES, "schemas": ["a", 1]}, "schemas.1", "expected string, got int"),
        (
            source,
            {**POSTGRES, "replication_method": {"method": "LOG_BASED"}},
            "replication_method.method",
            "expected one of Standard, Xmin, CDC",
        ),
        (
            source,
            {**POSTGRES, "replication_method": {"method": "CDC", "publication": "p"}},
            "replication_method.replication_slot",
            "missing",
        ),
        (
            source,
            {**POSTGRES, "replication_method": {**CDC, "initial_waiting_seconds": 5}},
            "replication_method.initial_waiting_seconds",
            "5: expected minimum 120",
        ),
        (
            destination,
            {**S3, "format": {"format_type": "Parquet", "compression_codec": "RAR"}},
            "format.compression_codec",
            "UNCOMPRESSED, SNAPPY",
        ),
        (
            destination,
            {**ELASTICSEARCH, "authenticationMethod": {"method": "secret", "apiKeyId": "a"}},
            "authenticationMethod.apiKeySecret",
            "missing",
        ),
    ],
)
def test_a_wrong_setting_is_named(handler, configuration, field, says):
    with pytest.raises(InputError) as raised:
        handler.normalize({"name": "x", "configuration": configuration})
    assert raised.value.field == f"configuration.{field}"
    assert says in raised.value.reason


def test_a_secret_in_the_wrong_place_is_not_shown():
    with pytest.raises(InputError) as raised:
        source.normalize({"name": "x", "configuration": {**POSTGRES, "port": "hunter2"}})
    assert "hunter2" not in str(raised.value)


def test_a_definition_id_finds_the_specification_too():
    configuration = {key: POSTGRES[key] for key in POSTGRES if key != "sourceType"}
    raw = {
        "name": "x",
        "definitionId": "decd338e-5647-4c0b-adf4-da0e75f5a750",
        "configuration": {**configuration, "port": "x"},
    }
    with pytest.raises(InputError, match=r"configuration\.port"):
        source.normalize(raw)
    source.normalize({**raw, "definitionId": "00000000-0000-4000-8000-000000000000"})


class Later:
    """Stands for a value that is known only after another resource was created."""


def test_only_secrets_and_what_is_not_described_are_hidden():
    later = Later()
    configuration = {
        **POSTGRES,
        "host": later,
        "password": later,
        "ssl_mode": {"mode": "verify-ca", "ca_certificate": "PEM", "invented": "?"},
        "tunnel_method": later,
        "schemas": later,
        "invented": 1,
    }
    hidden = source.marked_secrets(configuration, None, lambda value: ("secret", value))
    assert hidden == {
        **configuration,
        "password": ("secret", later),
        "ssl_mode": {
            "mode": "verify-ca",
            "ca_certificate": ("secret", "PEM"),
            "invented": ("secret", "?"),
        },
        "tunnel_method": ("secret", later),  # it may hold a key
        "invented": ("secret", 1),
    }


@pytest.mark.parametrize("configuration", [Later(), {"sourceType": "other", "host": "a"}])
def test_without_a_specification_all_is_hidden(configuration):
    hidden = source.marked_secrets(configuration, None, lambda value: ("secret", value))
    assert hidden == ("secret", configuration)
