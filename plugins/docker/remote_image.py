"""Image of the engine, pulled when it is missing. id: its name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.docker.labels import read_texts
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.docker.client import DockerClient

OURS = ("forceRemove", "keepLocally")  # of this plugin alone: the engine does not know them
PULLED_AGAIN = frozenset({"platform", "pullTriggers", "triggers"})


class RemoteImage(Kind):
    KIND = "docker/RemoteImage"
    REPLACE_ON = frozenset({"name", *PULLED_AGAIN})
    COMPUTED = frozenset({"imageId", "repoDigest"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.flag("keepLocally", False)
        fields.flag("forceRemove", False)
        fields.text("platform")
        fields.names("pullTriggers")
        read_texts(fields, "triggers")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "DockerClient", spec: Props) -> Live:
        name = spec["name"]
        if client.get("images", name, "json") is None:
            client.pull(_with_tag(name), spec.get("platform"))
        return self.update(client, name, {}, spec)

    def read(self, client: "DockerClient", id_: str, known: Props) -> Live | None:
        name = known.get("name", id_)
        live = client.get("images", name, "json")
        if live is None:
            return None
        inputs = {"name": name, **{key: known.get(key, False) for key in OURS}}
        inputs |= {key: known[key] for key in PULLED_AGAIN if key in known}
        outputs = {"imageId": live["Id"], "repoDigest": _digest_of(live, name)}
        return Live(id=name, inputs=inputs, outputs=outputs)

    def update(self, client: "DockerClient", id_: str, old: Props, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(f"image {spec['name']!r} is gone: run pulumi refresh, then up")
        return live

    def delete(self, client: "DockerClient", id_: str, known: Props) -> None:
        if known.get("keepLocally"):
            return
        force = str(bool(known.get("forceRemove"))).lower()
        name = known.get("name", id_)
        client.freed(lambda: client.send("DELETE", "images", name, absent=(404,), force=force))


def _with_tag(name: str) -> str:
    """Without a tag the API would pull every tag that there is."""
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def _digest_of(live: Props, name: str) -> str:
    repository = name.partition("@")[0]
    head, _, last = repository.rpartition("/")
    bare = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    digests = live.get("RepoDigests") or []
    return next((digest for digest in digests if digest.partition("@")[0] == bare), "")
