"""The real CLI with pulumi-docker as it is, over a real engine: up, update, drift, destroy."""

import json
import secrets
from pathlib import Path

import pytest

from tests.docker_fixtures import busybox_files
from tests.docker_registry import running_registry
from tests.plugins.engine import Stack

pytestmark = [pytest.mark.engine, pytest.mark.service]
PROGRAM = Path(__file__).parent / "docker_program"
MIB = 2**20
CREATED = '{"status": ["created"]}'


@pytest.fixture
def registry(docker_engine):
    with running_registry() as served:
        yield served


def test_a_service_lives_through_its_life_as_declared(tmp_path, docker_engine, registry):
    client, stack, password = docker_engine.client, Stack(tmp_path, PROGRAM), secrets.token_hex(16)
    digests = [registry.push("1", busybox_files(mark), {"Cmd": ["/bin/sh"]}) for mark in "12"]
    images = [f"{registry.address}/web@{digest}" for digest in digests]
    before = _everything(client)
    stack.run("stack", "init", "test")
    stack.run("config", "set", "--secret", "password", given=password)
    settings = {"docker:host": docker_engine.host, "docker-test:image": images[0]}
    stack.configure(settings)
    printed = stack.run("up", "--yes", "--skip-preview")
    try:
        stack.run("preview", "--expect-no-changes")
        assert password not in stack.run("stack", "export") + printed
        assert docker_engine.run_in("web", "cat", "/config/password") == (0, password)

        _change_a_limit(stack, client)
        _change_the_image(stack, client, images[1])
        _drift(stack, client)
        _import(stack, client)
    finally:
        stack.run("destroy", "--yes", "--skip-preview")
    assert _everything(client) == before


def _change_a_limit(stack: Stack, client) -> None:
    id_ = _web(client)["Id"]
    stack.configure({"docker-test:memory": 96})
    assert stack.changes() == {"Container web update": {"memory": "update"}}
    stack.run("up", "--yes", "--skip-preview")
    assert _web(client)["HostConfig"]["Memory"] == 96 * MIB
    assert _web(client)["Id"] == id_, "the same container, which went on running"


def _change_the_image(stack: Stack, client, image: str) -> None:
    before = _web(client)
    stack.configure({"docker-test:image": image})
    assert stack.changes()["RemoteImage web replace"] == {"name": "update-replace"}
    stack.run("up", "--yes", "--skip-preview")
    assert _web(client)["Image"] != before["Image"]
    assert _web(client)["State"]["Health"]["Status"] == "healthy"


def _drift(stack: Stack, client) -> None:
    client.send("POST", *("containers", "web", "kill"))
    limits = {"Memory": 128 * MIB, "MemorySwap": 256 * MIB}
    client.send("POST", *("containers", "web", "update"), body=limits)
    (files,) = client.send("GET", *("containers", "json"), all="true", filters=CREATED)
    client.send("DELETE", "containers", files["Id"])
    stack.run("refresh", "--yes", "--skip-preview")
    assert stack.changes() == {
        "Container files create": {},
        "Container web update": {"memory": "update", "mustRun": "update"},
    }
    stack.run("up", "--yes", "--skip-preview")
    assert _web(client)["State"]["Running"] and _web(client)["HostConfig"]["Memory"] == 96 * MIB


def _import(stack: Stack, client) -> None:
    client.send("POST", *("networks", "create"), body={"Name": "by-hand"})
    token = "docker:index/network:Network"
    stack.run(
        *("import", token, "cli", "by-hand", "--yes", "--generate-code=false", "--protect=false")
    )
    assert list(stack.changes()) == ["Network cli delete"], "the program does not have it"


def _web(client) -> dict:
    return client.get("containers", "web", "json")


def _everything(client) -> dict[str, list[str]]:
    containers = client.send("GET", "containers", "json", all="true")
    volumes = client.send("GET", "volumes")["Volumes"] or []
    return {
        "containers": sorted(json.dumps(c["Names"]) for c in containers),
        "networks": sorted(network["Name"] for network in client.send("GET", "networks")),
        "volumes": sorted(volume["Name"] for volume in volumes),
        "images": sorted(image["Id"] for image in client.send("GET", "images", "json")),
    }
