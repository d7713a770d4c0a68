"""A further name of an image. id: that name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.docker.client import DockerClient


class Tag(Kind):
    KIND = "docker/Tag"
    REPLACE_ON = frozenset({"sourceImage", "targetImage", "tagTriggers"})
    COMPUTED = frozenset({"sourceImageId"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("sourceImage", required=True)
        fields.text("targetImage", required=True)
        fields.names("tagTriggers")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["targetImage"])

    def create(self, client: "DockerClient", spec: Props) -> Live:
        source, target = spec["sourceImage"], spec["targetImage"]
        if client.get("images", source, "json") is None:
            raise InputError("sourceImage", f"{source!r}: the engine has no such image")
        repository, tag = _split(target)
        client.send("POST", *("images", source, "tag"), repo=repository, tag=tag)
        return self.update(client, target, {}, spec)

    def read(self, client: "DockerClient", id_: str, known: Props) -> Live | None:
        """When it is imported, the source is the image's id."""
        target = known.get("targetImage", id_)
        live = client.get("images", target, "json")
        if live is None:
            return None
        source = known.get("sourceImage")
        wanted = client.get("images", source, "json") if source else None
        # Moved by hand: the difference shows what it stands for now.
        same = source and (wanted is None or wanted["Id"] == live["Id"])
        inputs = {"sourceImage": source if same else live["Id"], "targetImage": target}
        if "tagTriggers" in known:
            inputs["tagTriggers"] = known["tagTriggers"]
        return Live(id=id_, inputs=inputs, outputs={"sourceImageId": live["Id"]})

    def update(self, client: "DockerClient", id_: str, old: Props, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(
                f"image {spec['targetImage']!r} is gone: run pulumi refresh, then up"
            )
        return live

    def delete(self, client: "DockerClient", id_: str, known: Props) -> None:
        client.send("DELETE", "images", known.get("targetImage", id_), absent=(404,))


def _split(name: str) -> tuple[str, str]:
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or "latest"
