"""What is special about containers and images, against a real engine and a real registry."""

import json
from contextlib import contextmanager

import pytest

from dynamic_providers.handler import UNKNOWN, InputError
from plugins.docker import container_live
from plugins.docker.client import BUSY_S, connect, registry_of
from plugins.docker.container_inputs import normalize
from plugins.docker.duration import duration, nanoseconds
from plugins.docker.plugin import PLUGIN
from plugins.kind import ServiceError
from plugins.provider import differences
from tests.docker_fixtures import BUSYBOX, busybox_files
from tests.docker_registry import running_registry

CONTAINER = PLUGIN.handlers["docker:index/container:Container"]
NETWORK = PLUGIN.handlers["docker:index/network:Network"]
IMAGE = PLUGIN.handlers["docker:index/remoteImage:RemoteImage"]
PLAIN = {"name": "plain", "image": BUSYBOX}


@pytest.fixture(scope="module")
def engine(docker_engine):
    docker_engine.busybox()
    return docker_engine


@pytest.fixture
def client(engine):
    yield engine.client
    for container in engine.client.send("GET", "containers", "json", all="true"):
        engine.client.send("DELETE", "containers", container["Id"], force="true", v="true")


def create(client, **inputs):
    spec = CONTAINER.normalize(PLAIN | inputs)
    return CONTAINER.create(client, spec), spec


def drift(client, live, spec):
    found = CONTAINER.read(client, live.id, spec)
    return {path for path, _, _ in differences(spec, found.inputs)}


def printed(client, *command, **inputs):
    """What a container with that command prints."""
    live, _ = create(client, command=list(command), attach=True, logs=True, **inputs)
    return live.outputs["containerLogs"]


@pytest.mark.service
def test_files_are_there_before_the_program_starts(client):
    text = printed(
        client,
        *(
            "sh",
            "-c",
            "cat /etc/app/secret /data/file; stat -c '%a %u:%g' /etc/app/secret /run.sh",
        ),
        volumes=[{"volumeName": "uploaded", "containerPath": "/data"}],
        user="1000",
        uploads=[
            {"file": "/etc/app/secret", "content": "ü\n", "permissions": "0400", "owner": "1000"},
            {"file": "/data/file", "contentBase64": "aGVsbG8K", "group": "7"},
            {"file": "run.sh", "content": "", "executable": True},
        ],
    )
    assert text.splitlines() == ["ü", "hello", "400 1000:0", "744 0:0"]
    client.freed(lambda: client.send("DELETE", "containers", "plain"))
    client.send("DELETE", *("volumes", "uploaded"))


@pytest.mark.service
def test_an_attached_container_is_run_to_its_end(client):
    live, spec = create(client, command=["sh", "-c", "echo done; exit 3"], attach=True, logs=True)
    assert live.outputs["exitCode"] == 3 and live.outputs["containerLogs"] == "done\n"
    assert drift(client, live, spec) == set(), "it has ended, as it should"


@pytest.mark.service
def test_a_container_that_ends_says_why_and_is_gone(client):
    password = "pass-word-of-10"
    with pytest.raises(ServiceError) as failure:
        create(
            client,
            command=["sh", "-c", "cat /etc/conf; echo cannot start with $KEY; exit 7"],
            envs=["KEY=key-of-the-door"],
            uploads=[{"file": "/etc/conf", "content": f'{{"password":"{password}"}}'}],
            # Without one it may be seen while it still runs, and then counts as started.
            wait=True,
            healthcheck={"tests": ["CMD", "false"], "interval": "200ms"},
        )
    text = str(failure.value)
    assert "'plain' has ended, with exit code 7" in text and "cannot start with" in text
    assert password not in text and "key-of-the-door" not in text
    assert client.get("containers", "plain", "json") is None


@pytest.mark.service
def test_one_that_never_gets_healthy_fails_and_is_gone(client):
    check = {"tests": ["CMD-SHELL", "exit 5"], "interval": "200ms", "retries": 1}
    with pytest.raises(ServiceError, match=r"health check of container 'plain': not done after 1"):
        create(client, wait=True, waitTimeout=1, healthcheck=check)
    assert client.get("containers", "plain", "json") is None
    with pytest.raises(InputError, match="neither the container nor its image"):
        create(client, wait=True)


@pytest.mark.service
def test_a_stopped_and_a_paused_container_are_started_again(client):
    live, spec = create(client)
    for by_hand in ("pause", "kill"):
        client.send("POST", "containers", live.id, by_hand)
        assert drift(client, live, spec) == {"mustRun"}
        CONTAINER.update(client, live.id, spec | {"mustRun": False}, spec)
        assert drift(client, live, spec) == set()


@pytest.mark.service
def test_what_can_be_changed_by_hand_shows(client):
    networks = [NETWORK.create(client, NETWORK.normalize({"name": n})) for n in ("one", "two")]
    inputs = [{"name": network.id} for network in networks]  # ids, as a program may give them
    live, spec = create(client, networksAdvanced=inputs, memory=64)
    assert drift(client, live, spec) == set()
    client.send("POST", *("networks", "one", "disconnect"), body={"Container": live.id})
    client.send("POST", "containers", live.id, "rename", name="other")
    limits = {"Memory": 2**26 * 2, "MemorySwap": 2**28}
    client.send("POST", "containers", live.id, "update", body=limits)
    shown = drift(client, live, spec)
    assert shown >= {"name", "memory"}
    assert any(path.startswith("networksAdvanced") for path in shown)
    CONTAINER.delete(client, live.id, spec)
    for network in networks:
        NETWORK.delete(client, network.id, network.inputs)


@pytest.mark.service
def test_an_image_that_was_built_anew_shows(engine, client):
    engine.busybox("moving:1", "old")
    live, spec = create(client, image="moving:1")
    assert drift(client, live, spec) == set()
    engine.busybox("moving:1", "new")
    assert drift(client, live, spec) == {"image"}
    CONTAINER.delete(client, live.id, spec)
    client.send("DELETE", *("images", "moving:1"))


@pytest.mark.service
def test_a_limit_is_raised_in_place_and_never_silently_kept(client):
    live, spec = create(client, memory=64, cpus=0.5)
    more = CONTAINER.normalize(spec | {"memory": 512, "cpus": "1"})
    assert not {key for _, _, key in differences(spec, more)} & CONTAINER.REPLACE_ON
    CONTAINER.update(client, live.id, spec, more)
    assert drift(client, live, more) == set()
    lifted = {key: value for key, value in more.items() if key != "memory"}
    with pytest.raises(InputError, match="memory: container 'plain': the engine cannot lift"):
        CONTAINER.update(client, live.id, more, lifted)


@pytest.mark.service
def test_a_container_of_another_kind_is_not_adopted(client):
    create(client)
    with pytest.raises(InputError, match=r"command: .*docker rm -f plain"):
        create(client, command=["sleep", "5"])


@pytest.mark.service
def test_a_container_may_ask_for_more_files_than_this_machine_gives(client):
    live, spec = create(client, ulimits=[{"name": "nofile", "soft": 65_536, "hard": 65_536}])
    assert drift(client, live, spec) == set()


@pytest.mark.service
def test_ports_are_published_and_networks_reach_each_other(client):
    network = NETWORK.create(client, NETWORK.normalize({"name": "layer", "internal": True}))
    create(
        client,
        name="server",
        command=["httpd", "-f", "-p", "8080", "-h", "/etc"],
        networksAdvanced=[{"name": "layer", "aliases": ["web"]}],
        uploads=[{"file": "/etc/page", "content": "served\n"}],
        wait=True,
        healthcheck={
            "tests": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/page"],
            "interval": "100ms",
        },
    )
    text = printed(
        client,
        *("wget", "-q", "-O", "-", "http://web:8080/page"),
        networksAdvanced=[{"name": "layer"}],
    )
    assert text == "served\n"
    for name in ("server", "plain"):
        CONTAINER.delete(client, name, {})
    NETWORK.delete(client, network.id, {})


@contextmanager
def registry(login=None):
    with running_registry(login) as served:
        digest = served.push("1", busybox_files("pulled"), {"Cmd": ["/bin/true"]})
        yield served.address, digest


@pytest.mark.service
def test_an_image_is_pulled_by_digest_and_removed(client):
    with registry() as (address, digest):
        by_tag = IMAGE.create(client, IMAGE.normalize({"name": f"{address}/app:1"}))
        assert by_tag.outputs["repoDigest"] == f"{address}/app@{digest}"
        pinned = IMAGE.normalize({"name": f"{address}/app@{digest}"})
        by_digest = IMAGE.create(client, pinned)
        assert by_digest.outputs == by_tag.outputs
    IMAGE.delete(client, by_tag.id, by_tag.inputs | {"keepLocally": True})
    assert IMAGE.read(client, by_tag.id, by_tag.inputs) is not None
    IMAGE.delete(client, by_tag.id, by_tag.inputs | {"forceRemove": True})
    client.send("DELETE", "images", by_tag.outputs["imageId"], absent=(404,), force="true")
    assert IMAGE.read(client, by_digest.id, pinned) is None
    with pytest.raises(ServiceError, match="cannot be pulled|refused"):
        IMAGE.create(client, pinned)


@pytest.mark.service
def test_a_registry_asks_for_a_login(engine, client):
    with registry(("puller", "pull-password")) as (address, _):
        spec = IMAGE.normalize({"name": f"{address}/app:1"})
        with pytest.raises(ServiceError):
            IMAGE.create(client, spec)
        logins = [{"address": address, "username": "puller", "password": "pull-password"}]
        known = connect({"host": engine.host, "registryAuth": json.dumps(logins)})
        made = IMAGE.create(known, spec)
        IMAGE.delete(known, made.id, spec)


@pytest.mark.service
def test_what_is_in_use_is_waited_for_and_then_named(client, monkeypatch):
    monkeypatch.setattr("plugins.docker.client.BUSY_S", BUSY_S / 60)
    network = NETWORK.create(client, NETWORK.normalize({"name": "used"}))
    live, spec = create(client, networksAdvanced=[{"name": "used"}])
    with pytest.raises(ServiceError, match="has active endpoints: remove by hand"):
        NETWORK.delete(client, network.id, {})
    CONTAINER.delete(client, live.id, spec)
    NETWORK.delete(client, network.id, {})


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"gpus": "all"}, "gpus"),
        ({"devices": [{"hostPath": "/dev/kvm"}]}, "devices"),
        ({"restart": "sometimes"}, "restart"),
        ({"maxRetryCount": 3}, "maxRetryCount"),
        ({"healthcheck": {"tests": ["x"], "interval": "soon"}}, "healthcheck.interval"),
        ({"cpus": "many"}, "cpus"),
        ({"memory": 1.5}, "memory"),
        ({"readOnly": True, "uploads": [{"file": "/a", "content": "x"}]}, "uploads"),
        ({"uploads": [{"file": "/a"}]}, "uploads[0].content"),
        ({"uploads": [{"file": "/a", "source": "b"}]}, "uploads[0].content"),
        ({"uploads": [{"file": "/a", "content": "x", "owner": "me"}]}, "uploads[0].owner"),
        ({"uploads": [{"file": "/a", "contentBase64": "%"}]}, "uploads[0].contentBase64"),
        ({"volumes": [{"volumeName": "v"}]}, "volumes[0].containerPath"),
        ({"volumes": [{"containerPath": "/a", "volumeName": "v", "hostPath": "/b"}]},
         "volumes[0].hostPath"),
        ({"wait": True, "start": False}, "wait"),
        ({"logs": True}, "logs"),
        ({"labels": {"a": "b"}}, "labels"),
        ({"tmpfs": {"/tmp": 5}}, "tmpfs./tmp"),
    ],
)  # fmt: skip
def test_a_wrong_or_unserved_input_is_named(inputs, field):
    with pytest.raises(InputError) as error:
        normalize(PLAIN | inputs)
    assert error.value.field == field


def test_unknown_values_pass_at_any_depth():
    raw = {
        "name": UNKNOWN,
        "image": UNKNOWN,
        "uploads": [{"file": "/a", "content": UNKNOWN}],
        "networksAdvanced": [{"name": UNKNOWN, "aliases": [UNKNOWN]}],
        "volumes": [{"containerPath": "/d", "volumeName": UNKNOWN}],
        "ports": [UNKNOWN],
        "healthcheck": {"tests": UNKNOWN},
        "memory": UNKNOWN,
        "restart": UNKNOWN,
        "maxRetryCount": 1,
        "labels": UNKNOWN,
        "readOnly": UNKNOWN,
    }
    spec = normalize(raw)
    assert spec["memory"] == UNKNOWN and spec["uploads"][0]["content"] == UNKNOWN
    assert normalize(spec) == spec


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("90s", "1m30s"), ("1h0m5s", "1h5s"), ("0s", "0s"), ("0.5s", "500ms"), ("1500ms", "1500ms")],
)
def test_durations_have_one_form(text, canonical):
    assert duration(nanoseconds(text, "x")) == canonical
    assert duration(nanoseconds(canonical, "x")) == canonical


def test_the_registry_of_an_image():
    found = [registry_of(name) for name in ("a", "a/b:1", "ghcr.io/a/b", "localhost/a", "h:5/a")]
    assert found == ["docker.io", "docker.io", "ghcr.io", "localhost", "h:5"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"host": "ssh://me@there"}, "host"),
        ({"context": "default"}, "context"),
        ({"host": "tcp://127.0.0.1:1", "certMaterial": "x"}, "keyMaterial"),
        ({"host": "tcp://127.0.0.1:1", "certPath": "/nowhere"}, "certPath"),
        ({"registryAuth": "{"}, "registryAuth"),
        ({"registryAuth": '[{"address": "x"}]'}, "registryAuth[0].username"),
    ],
)
def test_a_wrong_setting_is_named(settings, field):
    with pytest.raises(InputError) as error:
        connect(settings)
    assert error.value.field == field


def test_an_engine_that_is_not_there_is_named(tmp_path):
    client = connect({"host": f"unix://{tmp_path}/none.sock"})
    with pytest.raises(ServiceError, match=r"none\.sock.*is the engine up.*docker:host"):
        client.get("containers", "x", "json")


def test_what_the_engine_chooses_is_computed():
    assert container_live.CHOSEN <= CONTAINER.COMPUTED
