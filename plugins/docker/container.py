"""Container: created, given its files, started, and waited for. id: the engine's id of it."""

import base64
import io
import re
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.waiting import wait_for
from plugins.docker import container_inputs as given
from plugins.docker.container_live import CHOSEN, inputs_of, is_running, outputs_of
from plugins.kind import Kind, ServiceError

if TYPE_CHECKING:
    from plugins.docker.client import DockerClient

LOG_LINES = 15  # of a container that failed, in the message about it
SECRET_WORD = re.compile(r"[^\s\"'`,;:=<>\[\](){}]{6,}")  # of a file: what may be a password
HIDDEN = "[hidden]"
FILE_MODE, PROGRAM_MODE = 0o644, 0o744


class Container(Kind):
    KIND = "docker/Container"
    REPLACE_ON = given.RECREATED
    SECRETS = frozenset({"containerLogs", "envs", "uploads"})
    COMPUTED = frozenset({"bridge", "containerLogs", "exitCode", "networkDatas", *CHOSEN})
    STABLE = frozenset({"hostname", *CHOSEN - {"memorySwap"}})
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        return given.normalize(raw)

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "DockerClient", spec: Props) -> Live:
        live = self.read(client, spec["name"], spec)
        if live is not None:
            _refuse_other(live.inputs, spec)
            return self._bring_up(client, live.id, spec)
        id_ = _create(client, spec)
        try:
            return self._bring_up(client, id_, spec)
        except BaseException:
            # The engine of Pulumi records nothing of a failed creation: it would be in the way.
            _remove(client, id_, spec)
            raise

    def _bring_up(self, client: "DockerClient", id_: str, spec: Props) -> Live:
        _join_networks(client, id_, spec)
        _upload(client, id_, spec)
        logs = {}
        if spec["start"]:
            _start(client, id_, spec)
            if spec["attach"]:
                client.send("POST", "containers", id_, "wait", timeout_s=None)
                logs = {"containerLogs": client.logs(id_)} if spec["logs"] else {}
        live = self._found(client, id_, spec)
        return Live(id=live.id, inputs=spec, outputs=live.outputs | logs)

    def read(self, client: "DockerClient", id_: str, known: Props) -> Live | None:
        live = client.get("containers", id_, "json")
        if live is None or live["State"]["Status"] in ("removing", "dead"):
            return None
        image = client.get("images", live["Image"], "json") or {}
        named = client.get("images", known["image"], "json") if "image" in known else None
        inputs = inputs_of(live, image, known, named["Id"] if named else None)
        return Live(id=live["Id"], inputs=inputs, outputs=outputs_of(live))

    def update(self, client: "DockerClient", id_: str, old: Props, spec: Props) -> Live:
        live = self._found(client, id_, spec)
        if lifted := sorted((old.keys() & given.LIMITS) - spec.keys()):
            raise InputError(
                lifted[0],
                f"container {spec['name']!r}: the engine cannot lift a limit of a container that "
                "exists: give another value, or replace it (pulumi up --replace)",
            )
        if given.limits(live.inputs) != given.limits(spec):
            client.send("POST", "containers", id_, "update", body=given.limits(spec))
        wanted = spec["start"] and spec["mustRun"] and not spec["attach"]
        if wanted and not live.inputs["mustRun"]:
            _start(client, id_, spec)
        live = self._found(client, id_, spec)
        return Live(id=live.id, inputs=spec, outputs=live.outputs)

    def delete(self, client: "DockerClient", id_: str, known: Props) -> None:
        _remove(client, id_, known)

    def _found(self, client: "DockerClient", id_: str, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(f"container {spec['name']!r} is gone: run pulumi refresh, then up")
        return live


def _refuse_other(live: Props, spec: Props) -> None:
    for field in sorted(given.RECREATED):
        if live.get(field) != spec.get(field):
            raise InputError(
                field,
                f"container {spec['name']!r} exists with another setting, and is not in the "
                f"state: remove it (docker rm -f {spec['name']}), or import it",
            )


def _create(client: "DockerClient", spec: Props) -> str:
    named = [{**n, "name": _network(client, n["name"])} for n in spec.get("networksAdvanced", [])]
    query = {"name": spec["name"]}
    body = given.body({**spec, "networksAdvanced": named})
    made = client.send("POST", *("containers", "create"), body=body, absent=(404,), **query)
    if made is None:
        raise InputError(
            "image", f"{spec['image']!r}: the engine has no such image: pull it first"
        )
    return str(made["Id"])


def _network(client: "DockerClient", name: str) -> str:
    """The network's name, of its name or id: creation takes ids, but not everywhere."""
    found = client.get("networks", name)
    if found is None:
        raise InputError("networksAdvanced", f"{name!r}: the engine has no such network")
    return str(found["Name"])


def _join_networks(client: "DockerClient", id_: str, spec: Props) -> None:
    """Creation takes one network; older engines none but that."""
    joined = client.get("containers", id_, "json")["NetworkSettings"]["Networks"]
    ids = {end["NetworkID"] for end in joined.values()}
    for network in spec.get("networksAdvanced", []):
        # Before the first start an end has no id yet.
        if network["name"] not in joined and network["name"] not in ids:
            body = {"Container": id_, "EndpointConfig": given.endpoint(network)}
            client.send("POST", "networks", network["name"], "connect", body=body)


def _upload(client: "DockerClient", id_: str, spec: Props) -> None:
    if not spec.get("uploads"):
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for upload in spec["uploads"]:
            content = (
                base64.b64decode(upload["contentBase64"])
                if "contentBase64" in upload
                else upload["content"].encode()
            )
            entry = tarfile.TarInfo(upload["file"].lstrip("/"))
            default = PROGRAM_MODE if upload["executable"] else FILE_MODE
            entry.mode = int(upload.get("permissions") or oct(default)[2:], 8)
            entry.uid, entry.gid = int(upload.get("owner", 0)), int(upload.get("group", 0))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    client.send("PUT", "containers", id_, "archive", content=packed.getvalue(), path="/")


def _start(client: "DockerClient", id_: str, spec: Props) -> None:
    live = client.get("containers", id_, "json")
    if live["State"]["Paused"]:
        client.send("POST", "containers", id_, "unpause")
    else:
        client.send("POST", "containers", id_, "start", absent=(304,))
    if spec["attach"] or not spec["mustRun"]:
        return
    name, timeout_s = spec["name"], spec["containerReadRefreshTimeoutMilliseconds"] / 1000
    try:
        wait_for(lambda: _running(client, id_, spec), timeout_s, f"start of container {name!r}")
        if spec["wait"]:
            wait_for(
                lambda: _healthy(client, id_, spec),
                spec["waitTimeout"],
                f"health check of container {name!r}",
                slowest_poll_s=1,
            )
    except TimeoutError as late:
        raise ServiceError(
            f"{late}{_last_probe(client, id_)}{_words(client, id_, spec)}"
        ) from None


def _running(client: "DockerClient", id_: str, spec: Props) -> bool | None:
    live = client.get("containers", id_, "json")
    if is_running(live):
        return True
    if live["State"]["Status"] == "exited":
        raise ServiceError(
            f"container {spec['name']!r} has ended, with exit code "
            f"{live['State']['ExitCode']}{_words(client, id_, spec)}"
        )
    return None  # created or restarting


def _healthy(client: "DockerClient", id_: str, spec: Props) -> bool | None:
    live = client.get("containers", id_, "json")
    health = live["State"].get("Health")
    if health is None:
        raise InputError("wait", "neither the container nor its image has a health check")
    if not is_running(live):
        _running(client, id_, spec)
    return True if health["Status"] == "healthy" else None


def _last_probe(client: "DockerClient", id_: str) -> str:
    probes = (client.get("containers", id_, "json")["State"].get("Health") or {}).get("Log") or []
    if not probes:
        return ""
    code = probes[-1]["ExitCode"]
    return "; its last probe " + ("had no end" if code < 0 else f"ended with exit code {code}")


def _words(client: "DockerClient", id_: str, spec: Props) -> str:
    """The end of its log, without what its variables and files say: they may be secrets."""
    text = client.logs(id_, LOG_LINES).strip()
    known = [env.partition("=")[2] for env in spec.get("envs", [])]
    known += [str(upload.get("content", "")) for upload in spec.get("uploads", [])]
    words = {word for value in known for word in SECRET_WORD.findall(value)}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, HIDDEN)
    return f". Its last words:\n{text}" if text else " and without a word"


def _remove(client: "DockerClient", id_: str, spec: Props) -> None:
    grace = spec.get("destroyGraceSeconds")
    if grace:
        client.send(
            "POST", "containers", id_, "stop", absent=(304, 404), timeout_s=grace + 60, t=grace
        )
    volumes = str(spec.get("removeVolumes", True)).lower()
    client.freed(
        lambda: client.send("DELETE", "containers", id_, absent=(404,), v=volumes, force="true")
    )
