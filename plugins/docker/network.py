"""Network. id: the engine's id of it; its name may be imported too."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.docker.labels import from_map, read_labels, read_texts, refuse_other, to_map
from plugins.kind import Fields, Kind, ServiceError, same_keys

if TYPE_CHECKING:
    from plugins.docker.client import DockerClient

FLAGS = {  # input -> its name in the API
    "attachable": "Attachable",
    "ingress": "Ingress",
    "internal": "Internal",
    "ipv6": "EnableIPv6",
}
IPAM = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange"}
CHOSEN = frozenset({"ipamConfigs", "options"})  # by the engine, where the program says nothing


class Network(Kind):
    KIND = "docker/Network"
    # The API has no update.
    REPLACE_ON = frozenset(
        {"name", "driver", "ipamDriver", "ipamOptions", "labels", *FLAGS, *CHOSEN}
    )
    COMPUTED = frozenset({"scope", *CHOSEN})
    STABLE = COMPUTED
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.text("driver", "bridge")
        for flag in FLAGS:
            fields.flag(flag, False)
        fields.text("ipamDriver", "default")
        read_texts(fields, "ipamOptions")
        read_texts(fields, "options")
        fields.each("ipamConfigs", _read_ipam, lambda item: str(item.get("subnet", "")))
        read_labels(fields)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "DockerClient", spec: Props) -> Live:
        name = spec["name"]
        # Names of networks are not unique by themselves: look first, and let the engine check.
        if not _ids(client, name):
            client.send("POST", *("networks", "create"), absent=(409,), body=_body(spec))
        (id_,) = _ids(client, name) or [name]
        return self.update(client, id_, {}, spec)

    def read(self, client: "DockerClient", id_: str, known: Props) -> Live | None:
        live = client.get("networks", id_)
        if live is None:
            return None
        ipam = live["IPAM"]
        inputs: Props = {
            "name": live["Name"],
            "driver": live["Driver"],
            "ipamDriver": ipam["Driver"],
            "ipamConfigs": _ipam_configs(ipam["Config"] or [], known.get("ipamConfigs")),
            "options": live["Options"] or {},
        }
        inputs |= {flag: live[own] for flag, own in FLAGS.items()}
        if ipam["Options"] or "ipamOptions" in known:
            inputs["ipamOptions"] = ipam["Options"] or {}
        if live["Labels"] or "labels" in known:
            inputs["labels"] = from_map(live["Labels"])
        outputs = {
            "scope": live["Scope"],
            "options": inputs["options"],
            "ipamConfigs": inputs["ipamConfigs"],
        }
        if not inputs["options"] and not known:
            del inputs["options"]
        return Live(id=live["Id"], inputs=same_keys(inputs, known, CHOSEN), outputs=outputs)

    def update(self, client: "DockerClient", id_: str, old: Props, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(f"network {spec['name']!r} is gone: run pulumi refresh, then up")
        refuse_other("network", spec["name"], live.inputs, spec)
        return live

    def delete(self, client: "DockerClient", id_: str, known: Props) -> None:
        client.freed(lambda: client.send("DELETE", "networks", id_, absent=(404,)))


def _read_ipam(config: Fields) -> None:
    for name in IPAM:
        config.text(name)
    read_texts(config, "auxAddress")


def _ids(client: "DockerClient", name: str) -> list[str]:
    found = client.send("GET", "networks", filters=json.dumps({"name": [name]}))
    ids = [network["Id"] for network in found if network["Name"] == name]  # the filter is fuzzy
    if len(ids) > 1:
        raise ServiceError(f"{len(ids)} networks have the name {name!r}: remove all but one")
    return ids


def _body(spec: Props) -> Props:
    return {
        "Name": spec["name"],
        "CheckDuplicate": True,
        "Driver": spec["driver"],
        **{own: spec[flag] for flag, own in FLAGS.items()},
        "IPAM": {
            "Driver": spec["ipamDriver"],
            "Options": spec.get("ipamOptions", {}),
            "Config": [
                {own: config[name] for name, own in IPAM.items() if name in config}
                | {"AuxiliaryAddresses": config.get("auxAddress", {})}
                for config in spec.get("ipamConfigs", [])
            ],
        },
        "Options": spec.get("options", {}),
        "Labels": to_map(spec.get("labels")),
    }


def _ipam_configs(live: list[Props], known: list[Props] | None) -> list[Props]:
    """In the order of subnets, without what the engine chose for a subnet that we know."""
    told = {config.get("subnet"): config for config in known or []}
    found = []
    for config in sorted(live, key=lambda item: str(item.get("Subnet", ""))):
        own = {name: config[field] for name, field in IPAM.items() if config.get(field)}
        if config.get("AuxiliaryAddresses"):
            own["auxAddress"] = config["AuxiliaryAddresses"]
        found.append(same_keys(own, told.get(own.get("subnet"), {}), ("gateway",)))
    return found
