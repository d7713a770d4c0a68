"""Configuration is checked as a whole, and each fault says what to do."""

import pytest
import yaml

from settings import RestorePoint, SettingsError, parse
from tools.paths import ROOT

VALID = {
    "dataflow:runtime": "process",
    "dataflow:portOffset": "100",
    "dataflow:keepData": "true",
    "dataflow:allowReset": "false",
    "dataflow:shopOrders": "1500",
    "dataflow:flow": "flow.commerce:FLOW",
    "dataflow:profile": "medium",
    "dataflow:domain": "",
    "dataflow:gatewayClass": "",
    "dataflow:issuer": "",
    "dataflow:apiServer": "",
    "dataflow:storageClass": "",
    "dataflow:airbyte": "embedded",
    "dataflow:objectStoreEndpoint": "",
    "dataflow:objectStoreBucket": "",
    "dataflow:objectStoreRegion": "",
    "dataflow:objectStoreNetwork": "",
    "dataflow:backupEndpoint": "",
    "dataflow:backupBucket": "",
    "dataflow:backupRegion": "",
    "dataflow:backupNetwork": "",
    "dataflow:recover": "",
    "dremio:url": "https://dremio.test",
    "images:minio": "registry.test/minio:1",
    "dataflow:seed": "not read here",
    "minio:minioServer": "another package's key",
}


def test_values_get_their_types():
    settings = parse("local", VALID)
    assert (settings.port_offset, settings.keep_data, settings.shop_orders) == (100, True, 1500)
    assert settings.load_flow().name == "commerce"
    assert settings.urls == {"dremio": "https://dremio.test"}
    assert (settings.profile, settings.images) == ("medium", {"minio": "registry.test/minio:1"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataflow:portOfset": "1"}, "dataflow:portOfset: unknown key: did you mean portOffset?"),
        ({"dataflow:zzz": "1"}, "dataflow:zzz: unknown key: expected one of runtime, portOffset"),
        ({"dataflow:portOffset": "-1"}, "portOffset: '-1': expected a whole number from 0 to"),
        ({"dataflow:portOffset": "true"}, "portOffset: 'true': expected a whole number"),
        ({"dataflow:portOffset": "1e3"}, "portOffset: '1e3': expected a whole number"),
        ({"dataflow:keepData": "yes"}, "keepData: 'yes': expected true or false"),
        ({"dataflow:runtime": "vm"}, "runtime: 'vm': expected one of process, docker, kubernetes"),
        ({"dataflow:apiServer": "here"}, "apiServer: 'here': 'here' does not appear to be"),
        ({"dataflow:runtime": "kubernetes"}, "needs domain, gatewayClass, issuer, apiServer"),
        ({"dataflow:airbyte": "real"}, "airbyte: 'real': expected one of embedded, product"),
        (
            {"dataflow:airbyte": "product"},
            "airbyte: 'product': the product runs on Kubernetes alone: expected embedded with "
            "runtime 'process'",
        ),
        (
            {"dataflow:objectStoreEndpoint": "http://s3.test"},
            "objectStoreEndpoint: 'http://s3.test': expected https://host",
        ),
        (
            {"dataflow:objectStoreEndpoint": "https://s3.test/datalake"},
            "objectStoreEndpoint: 'https://s3.test/datalake': expected https://host",
        ),
        (
            {"dataflow:objectStoreEndpoint": "https://s3.test:port"},
            "objectStoreEndpoint: 'https://s3.test:port': expected https://host",
        ),
        ({"dataflow:objectStoreBucket": "A_b"}, "objectStoreBucket: 'A_b': expected 3 to 63"),
        ({"dataflow:objectStoreRegion": "EU 1"}, "objectStoreRegion: 'EU 1': expected lower-case"),
        ({"dataflow:objectStoreNetwork": "s3"}, "objectStoreNetwork: 's3': 's3' does not appear"),
        ({"dataflow:shopOrders": "99"}, "shopOrders: '99': expected a whole number from 100"),
    ],
)
def test_a_wrong_value_is_named_with_the_valid_ones(changes, message):
    with pytest.raises(SettingsError) as error:
        parse("local", {**VALID, **changes})
    assert message in str(error.value)
    assert "Pulumi.local.yaml" in str(error.value)


ON_A_CLUSTER = {
    "dataflow:runtime": "kubernetes",
    "dataflow:domain": "dataflow.test",
    "dataflow:gatewayClass": "envoy",
    "dataflow:issuer": "letsencrypt",
    "dataflow:apiServer": "10.96.0.1/32",
}
STORE = {
    "dataflow:objectStoreEndpoint": "https://s3.eu-central-1.amazonaws.com/",
    "dataflow:objectStoreBucket": "example-datalake",
    "dataflow:objectStoreRegion": "eu-central-1",
    "dataflow:objectStoreNetwork": "52.219.0.0/16",
    "minio:user": "an access key",
    "minio:password": "a secret key",
}
BACKUP = {
    "dataflow:backupEndpoint": "https://backups.example.org:9000",
    "dataflow:backupBucket": "example-backups",
    "dataflow:backupRegion": "eu-west-1",
    "dataflow:backupNetwork": "192.0.2.0/24",
    "backup:user": "an access key",
    "backup:password": "a secret key",
}
EXTERNAL = pytest.mark.parametrize("store", [STORE, BACKUP], ids=["object store", "backup store"])


def test_stores_that_are_there_already():
    settings = parse("prod", {**VALID, **ON_A_CLUSTER, **STORE, **BACKUP})
    assert settings.object_store_endpoint == "https://s3.eu-central-1.amazonaws.com"
    assert settings.object_store_bucket == "example-datalake"
    assert settings.backup_endpoint == "https://backups.example.org:9000"
    assert settings.backup_bucket == "example-backups"


@pytest.mark.parametrize(
    ("store", "missing"), [(store, key) for store in (STORE, BACKUP) for key in store]
)
def test_a_part_of_a_store_is_refused(store, missing):
    some = {key: value for key, value in store.items() if key != missing}
    with pytest.raises(SettingsError) as error:
        parse("prod", {**VALID, **ON_A_CLUSTER, **some})
    assert f"needs {missing.removeprefix('dataflow:')} too" in str(error.value)


@EXTERNAL
def test_a_store_of_ones_own_is_for_clusters(store):
    with pytest.raises(SettingsError, match="expected runtime kubernetes: on 'process'"):
        parse("local", {**VALID, **store})


@EXTERNAL
def test_a_secret_key_in_clear_text_is_refused_and_not_shown(store):
    with pytest.raises(SettingsError, match=r"\w+:password: is in clear text") as error:
        parse("prod", {**VALID, **ON_A_CLUSTER, **store}, encrypted=lambda _key: False)
    assert "a secret key" not in str(error.value)


def test_a_stack_is_not_backed_up_into_its_own_bucket():
    same = {
        "dataflow:backupEndpoint": STORE["dataflow:objectStoreEndpoint"],
        "dataflow:backupBucket": STORE["dataflow:objectStoreBucket"],
    }
    with pytest.raises(SettingsError, match="backupBucket: 'example-datalake': is the stack's"):
        parse("prod", {**VALID, **ON_A_CLUSTER, **STORE, **BACKUP, **same})


def test_a_restore_point():
    key = {"dataflow:recover": "postgres@2026-11-27T05:00:03Z"}
    found = parse("prod", {**VALID, **ON_A_CLUSTER, **BACKUP, **key}).recover
    assert found == RestorePoint(archive="postgres", time="2026-11-27T05:00:03Z")
    with pytest.raises(SettingsError, match="recover: needs the backup store .*backupEndpoint"):
        parse("prod", {**VALID, **ON_A_CLUSTER, **key})


@pytest.mark.parametrize("text", ["yesterday", "postgres@2026-11-27", "p@2026-13-27T05:00:03Z"])
def test_a_wrong_restore_point_is_refused(text):
    with pytest.raises(SettingsError, match=f"dataflow:recover: '{text}'"):
        parse("prod", {**VALID, **ON_A_CLUSTER, **BACKUP, "dataflow:recover": text})


def test_all_faults_come_at_once():
    with pytest.raises(SettingsError) as error:
        parse("local", {"dataflow:keepData": "1"})
    text = str(error.value)
    assert "keepData: '1'" in text
    assert "dataflow:portOffset: is not set" in text


@pytest.mark.parametrize("flow", ["flow.nowhere:FLOW", "flow.commerce:NONE", "flow.commerce"])
def test_a_flow_that_cannot_be_loaded_is_named(flow):
    with pytest.raises(SettingsError, match=f"dataflow:flow: {flow!r}"):
        parse("local", {**VALID, "dataflow:flow": flow}).load_flow()


def test_something_that_is_not_a_flow_is_refused():
    settings = parse("local", {**VALID, "dataflow:flow": "flow.model:CONNECTORS"})
    with pytest.raises(SettingsError, match="is a tuple, expected a DataFlow"):
        settings.load_flow()


def test_every_declared_key_is_read_and_every_key_that_is_read_is_declared():
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    defaults = {
        f"dataflow:{key}": str(entry["default"]).lower() if "default" in entry else "secret"
        for key, entry in schema.items()
    }
    defaults["dataflow:flow"] = schema["flow"]["default"]
    parse("local", defaults)  # an undeclared one would be unknown, an unread one not set
    assert all(entry.get("description") and entry.get("type") for entry in schema.values())


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_committed_settings_are_valid(stack):
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    own = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    defaults = {f"dataflow:{key}": e["default"] for key, e in schema.items() if "default" in e}
    merged = {
        key: value if isinstance(value, str) else str(value).lower()
        for key, value in {**defaults, **own}.items()
    }
    assert parse(stack, merged).runtime != "process"
