"""The plugins as the engine sees them: a process, its port, its answers. No service runs."""

import importlib.metadata
import json
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as proto
from pulumi.runtime.proto import provider_pb2_grpc

from dynamic_providers.handler import UNKNOWN
from plugins.wire import decode, encode
from tests.docker_fixtures import BUSYBOX
from tests.plugins.conftest import PLUGINS, settings

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "urn:pulumi:s::p::x:y:Z$minio:index/s3Bucket:S3Bucket::lake"
USER = "urn:pulumi:s::p::minio:index/iamUser:IamUser::airbyte"
ROLE = "urn:pulumi:s::p::postgresql:index/role:Role::dremio"
POLICY = "urn:pulumi:s::p::minio:index/s3BucketPolicy:S3BucketPolicy::public"
CONTAINER = "urn:pulumi:s::p::docker:index/container:Container::web"
NOWHERE = {"minioServer": "127.0.0.1:1", "minioUser": "u", "minioPassword": "pass-word"}


@pytest.fixture(scope="module", params=sorted(PLUGINS))
def plugin(request):
    with running(request.param) as stub:
        yield request.param, stub


@pytest.fixture(scope="module")
def minio():
    with running("minio") as stub:
        yield stub


class running:
    def __init__(self, name):
        command = [sys.executable, "-m", f"plugins.{name}", "127.0.0.1:1", "--logtostderr"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        port = int(self.process.stdout.readline())
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def __enter__(self):
        return provider_pb2_grpc.ResourceProviderStub(self.channel)

    def __exit__(self, *_):
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def configure(stub, settings):
    return stub.Configure(proto.ConfigureRequest(args=encode(settings), acceptSecrets=True))


def check(stub, urn, news, olds=None, seed=b"seed"):
    return stub.Check(
        proto.CheckRequest(urn=urn, news=news, olds=olds or encode({}), randomSeed=seed)
    )


def diff(stub, urn, old, new):
    return stub.Diff(proto.DiffRequest(urn=urn, id="x", old_inputs=encode(old), news=encode(new)))


def test_the_version_is_the_one_that_the_sdk_asks_for(plugin):
    name, stub = plugin
    installed = importlib.metadata.version(f"pulumi_{name}")
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == installed


def test_unknown_and_wrong_settings_do_not_hinder_a_preview(plugin):
    name, stub = plugin
    settings = ("minioServer", "host", "elasticsearch", "kubeconfig")
    answer = configure(stub, dict.fromkeys(settings, UNKNOWN))
    assert answer.acceptSecrets and answer.supportsPreview and not answer.acceptOutputs
    token = sorted(PLUGINS[name].handlers)[0]
    with pytest.raises(grpc.RpcError, match="not known yet"):
        stub.Read(proto.ReadRequest(urn=f"urn:pulumi:s::p::{token}::x", id="a/b/c/d/table"))


def test_a_missing_setting_is_a_failure_of_that_setting(plugin):
    name, stub = plugin
    news = encode({"version": "1"})
    if name == "elasticstack":
        news = encode({"elasticsearch": '{"username": "u"}'})
    if name == "docker":  # of which nothing must be set
        news = encode({"host": "tcp://"})
    if name == "kubernetes":  # without settings it takes the kubeconfig of the machine
        news = encode({"kubeconfig": "/not/there"})
    answer = stub.CheckConfig(proto.CheckRequest(urn="urn:pulumi:s::p::x::y", news=news))
    field = {
        "minio": "minioServer",
        "postgresql": "host",
        "docker": "host",
        "kubernetes": "kubeconfig",
    }
    assert [f.property for f in answer.failures] == [field.get(name, "elasticsearch.endpoints")]


def test_passwords_in_settings_become_secrets(minio):
    news = encode(NOWHERE)
    answer = minio.CheckConfig(proto.CheckRequest(urn="urn:pulumi:s::p::x::y", news=news))
    assert ("minioPassword",) in decode(answer.inputs)[1]


def test_an_unserved_token_says_what_is_served(plugin):
    name, stub = plugin
    with pytest.raises(grpc.RpcError) as error:
        check(stub, f"urn:pulumi:s::p::{name}:index/other:Other::x", encode({}))
    assert f"{name}:index/other:Other is not served" in error.value.details()
    assert f"pulumi plugin install resource {name}" in error.value.details()


def test_check_fills_defaults_and_names_the_wrong_field(minio):
    good = check(minio, BUCKET, encode({"bucket": "lake"}))
    assert decode(good.inputs)[0] == {
        "bucket": "lake",
        "acl": "private",
        "forceDestroy": False,
        "objectLocking": False,
    }
    for bad, field in (({"acl": "open"}, "acl"), ({"size": 1}, "size"), ({"quota": -1}, "quota")):
        answer = check(minio, BUCKET, encode({"bucket": "lake", **bad}))
        assert [f.property for f in answer.failures] == [field]


def test_an_automatic_name_is_kept(minio):
    first = decode(check(minio, BUCKET, encode({}), seed=b"1").inputs)[0]
    assert first["bucket"].startswith("lake-") and len(first["bucket"]) == len("lake-") + 7
    again = check(minio, BUCKET, encode({}), olds=encode(first), seed=b"2")
    assert decode(again.inputs)[0] == first
    prefixed = check(minio, BUCKET, encode({"bucketPrefix": "gold."}), olds=encode(first))
    assert decode(prefixed.inputs)[0]["bucket"].startswith("gold.")


def test_secrets_keep_their_mark_by_name_and_by_arrival(minio):
    news = encode({"name": "airbyte", "secret": "long-enough"}, {("name",)})
    inputs, marked = decode(check(minio, USER, news).inputs)
    assert marked == {("name",), ("secret",)}
    answer = minio.Create(
        proto.CreateRequest(urn=USER, properties=encode(inputs, marked), preview=True)
    )
    outputs, marked = decode(answer.properties)
    assert marked == {("name",), ("secret",)} and outputs["status"] == UNKNOWN


def test_preview_echoes_inputs_and_leaves_computed_outputs_unknown(minio):
    inputs = decode(check(minio, BUCKET, encode({"bucket": UNKNOWN})).inputs)[0]
    answer = minio.Create(proto.CreateRequest(urn=BUCKET, properties=encode(inputs), preview=True))
    outputs = decode(answer.properties)[0]
    assert outputs == inputs | {"arn": UNKNOWN, "bucketDomainName": UNKNOWN}
    state = inputs | {"bucket": "lake", "arn": "arn:aws:s3:::lake", "bucketDomainName": "h"}
    wider = inputs | {"bucket": "lake", "quota": 5}
    answer = minio.Update(
        proto.UpdateRequest(
            urn=BUCKET, id="lake", olds=encode(state), news=encode(wider), preview=True
        )
    )
    assert decode(answer.properties)[0] == state | {"quota": 5}, "an arn never changes"


def test_diff_is_exact(minio):
    old = {"bucket": "lake", "acl": "private", "forceDestroy": False, "objectLocking": False}
    same = diff(minio, BUCKET, old, old)
    assert same.changes == proto.DiffResponse.DIFF_NONE and same.hasDetailedDiff
    # As the official plugin, or an older version, may have recorded it.
    recorded = {"bucket": "lake", "__defaults": ["acl"], "quota": 7.0}
    answer = diff(minio, BUCKET, recorded, old | {"acl": "public-read"})
    kinds = {path: d.kind for path, d in answer.detailedDiff.items()}
    assert kinds == {"acl": proto.PropertyDiff.UPDATE, "quota": proto.PropertyDiff.DELETE}
    assert not answer.replaces and answer.stables == ["arn", "bucketDomainName"]


def test_a_replacement_that_keeps_its_name_deletes_first(minio):
    old = {"bucket": "lake", "acl": "private", "forceDestroy": False, "objectLocking": False}
    locked = diff(minio, BUCKET, old, old | {"objectLocking": True})
    assert locked.replaces == ["objectLocking"] and locked.deleteBeforeReplace
    assert locked.detailedDiff["objectLocking"].kind == proto.PropertyDiff.UPDATE_REPLACE
    renamed = diff(minio, BUCKET, old, old | {"bucket": "sea"})
    assert renamed.replaces == ["bucket"] and not renamed.deleteBeforeReplace


def test_an_unknown_value_is_a_change(minio):
    old = {"bucket": "lake", "policy": json.dumps({"Statement": []})}
    news = decode(check(minio, POLICY, encode({"bucket": "lake", "policy": UNKNOWN})).inputs)[0]
    assert list(diff(minio, POLICY, old, news).detailedDiff) == ["policy"]
    news = decode(check(minio, POLICY, encode({"bucket": UNKNOWN, **old})).inputs)[0]
    news["bucket"] = UNKNOWN
    assert diff(minio, POLICY, old, news).replaces == ["bucket"]


def test_an_error_says_what_to_do_and_shows_no_secret(minio):
    configure(minio, NOWHERE)
    inputs = {"name": "airbyte", "secret": "long-enough-secret"}
    news = check(minio, USER, encode(inputs)).inputs
    with pytest.raises(grpc.RpcError) as error:
        minio.Create(proto.CreateRequest(urn=USER, properties=news))
    assert "minio:minioServer" in error.value.details()
    assert "long-enough-secret" not in error.value.details()
    assert "pass-word" not in error.value.details()


def test_a_secret_that_is_too_short_is_not_repeated(minio):
    answer = check(minio, USER, encode({"name": "airbyte", "secret": "short"}))
    assert [f.property for f in answer.failures] == ["secret"]
    assert "short" not in answer.failures[0].reason


def test_a_wrong_value_that_is_secret_is_not_repeated(minio):
    news = encode({"bucket": "lake", "acl": "top-secret"}, {("acl",)})
    answer = check(minio, BUCKET, news)
    assert [f.property for f in answer.failures] == ["acl"]
    assert "top-secret" not in answer.failures[0].reason


def test_an_interrupt_ends_a_plugin_at_once(plugin):
    started = running(plugin[0])
    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(timeout=4) == 0, "the engine waits 5 s, then kills"


def test_a_new_address_of_the_provider_is_an_update_of_it(minio):
    answer = minio.DiffConfig(
        proto.DiffRequest(
            urn="urn:pulumi:s::p::x::y",
            old_inputs=encode(NOWHERE),
            news=encode(NOWHERE | {"minioServer": "127.0.0.1:2"}),
        )
    )
    assert list(answer.detailedDiff) == ["minioServer"] and not answer.replaces


@pytest.mark.service
def test_import_of_a_missing_id_and_of_a_live_one(minio_server):
    with running("minio") as stub:
        configure(stub, settings("minio", minio_server))
        assert stub.Read(proto.ReadRequest(urn=BUCKET, id="not-there")).id == ""
        news = check(stub, BUCKET, encode({"bucket": "secret-lake"}, {("bucket",)})).inputs
        made = stub.Create(proto.CreateRequest(urn=BUCKET, properties=news))
        outputs, marked = decode(made.properties)
        assert outputs["arn"] == "arn:aws:s3:::secret-lake"
        assert {("bucket",), ("arn",), ("bucketDomainName",)} <= marked, "they hold the secret"
        found = stub.Read(proto.ReadRequest(urn=BUCKET, id=made.id))
        assert decode(found.inputs)[0] == decode(news)[0]
        known = proto.ReadRequest(urn=BUCKET, id=made.id, inputs=news, properties=made.properties)
        assert decode(stub.Read(known).properties)[1] == marked
        stub.Delete(proto.DeleteRequest(urn=BUCKET, id=made.id, old_inputs=news))
        assert stub.Read(known).id == ""


@pytest.mark.service
def test_a_generated_secret_lives_on_in_the_state(minio_server):
    with running("minio") as stub:
        configure(stub, settings("minio", minio_server))
        news = check(stub, USER, encode({"name": "generated"})).inputs
        made = stub.Create(proto.CreateRequest(urn=USER, properties=news))
        outputs, marked = decode(made.properties)
        assert len(outputs["secret"]) >= 40 and ("secret",) in marked
        found = stub.Read(
            proto.ReadRequest(urn=USER, id=made.id, inputs=news, properties=made.properties)
        )
        assert decode(found.properties) == (outputs, marked)
        stub.Delete(proto.DeleteRequest(urn=USER, id=made.id, old_inputs=news))


@pytest.mark.service
def test_the_server_never_sees_a_role_password_in_clear(postgres_server, connected):
    client = connected("postgresql")
    with running("postgresql") as stub:
        configure(stub, settings("postgresql", postgres_server))
        with client.session() as session:
            session.run("ALTER SYSTEM SET log_statement = 'all'")
            session.run("SELECT pg_reload_conf()")
        news = check(stub, ROLE, encode({"name": "quiet", "password": "un-speakable"})).inputs
        made = stub.Create(proto.CreateRequest(urn=ROLE, properties=news))
        with client.session() as session:
            session.run("ALTER SYSTEM RESET log_statement")
            session.run("SELECT pg_reload_conf()")
        log = postgres_server.log.read_text()
        assert "CREATE ROLE" in log and "SCRAM-SHA-256$" in log and "un-speakable" not in log
        stub.Delete(proto.DeleteRequest(urn=ROLE, id=made.id, old_inputs=news))


@pytest.mark.service
def test_what_a_container_is_given_is_secret_everywhere(docker_engine):
    docker_engine.busybox()
    given = {
        "name": "secretive",
        "image": BUSYBOX,
        "envs": ["KEY=un-speakable"],
        "uploads": [{"file": "/etc/key", "content": "un-speakable"}],
        "command": ["sh", "-c", "cat /etc/key"],
        "attach": True,
        "logs": True,
    }
    with running("docker") as stub:
        configure(stub, settings("docker", docker_engine))
        news = check(stub, CONTAINER, encode(given)).inputs
        planned = stub.Create(proto.CreateRequest(urn=CONTAINER, properties=news, preview=True))
        made = stub.Create(proto.CreateRequest(urn=CONTAINER, properties=news))
        known = proto.ReadRequest(
            urn=CONTAINER, id=made.id, inputs=news, properties=made.properties
        )
        for answer in (planned, made, stub.Read(known)):
            outputs, marked = decode(answer.properties)
            assert {("envs",), ("uploads",), ("containerLogs",)} <= marked
            rest = {k: v for k, v in outputs.items() if (k,) not in marked}
            assert "un-speakable" not in str(rest)
        assert decode(made.properties)[0]["containerLogs"] == "un-speakable"
        stub.Delete(proto.DeleteRequest(urn=CONTAINER, id=made.id, old_inputs=news))
        assert stub.Read(known).id == ""
