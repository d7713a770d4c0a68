"""Named volume. id: its name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.docker.labels import from_map, read_labels, read_texts, refuse_other, to_map
from plugins.kind import Fields, Kind, same_keys

if TYPE_CHECKING:
    from plugins.docker.client import DockerClient


class Volume(Kind):
    KIND = "docker/Volume"
    REPLACE_ON = frozenset({"name", "driver", "driverOpts", "labels"})  # the API has no update
    COMPUTED = frozenset({"driver", "mountpoint"})
    STABLE = COMPUTED
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.text("driver")
        read_texts(fields, "driverOpts")
        read_labels(fields)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "DockerClient", spec: Props) -> Live:
        # The engine answers with the volume of that name, whatever its settings are.
        client.send(
            "POST",
            *("volumes", "create"),
            body={
                "Name": spec["name"],
                "Driver": spec.get("driver", "local"),
                "DriverOpts": spec.get("driverOpts", {}),
                "Labels": to_map(spec.get("labels")),
            },
        )
        return self.update(client, spec["name"], {}, spec)

    def read(self, client: "DockerClient", id_: str, known: Props) -> Live | None:
        live = client.get("volumes", id_)
        if live is None:
            return None
        inputs: Props = {"name": live["Name"], "driver": live["Driver"]}
        if live["Options"] or "driverOpts" in known:
            inputs["driverOpts"] = live["Options"] or {}
        if live["Labels"] or "labels" in known:
            inputs["labels"] = from_map(live["Labels"])
        outputs = {"driver": live["Driver"], "mountpoint": live["Mountpoint"]}
        return Live(id=live["Name"], inputs=same_keys(inputs, known, ("driver",)), outputs=outputs)

    def update(self, client: "DockerClient", id_: str, old: Props, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(f"volume {id_!r} is gone: run pulumi refresh, then up")
        refuse_other("volume", id_, live.inputs, spec)
        return live

    def delete(self, client: "DockerClient", id_: str, known: Props) -> None:
        client.freed(lambda: client.send("DELETE", "volumes", id_, absent=(404,)))
