"""A container as the engine describes it, in the form of its inputs."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from dynamic_providers.handler import Props
from plugins.docker.container_inputs import (
    BEHAVIOUR,
    CONFIG_FLAGS,
    CONFIG_LISTS,
    CONFIG_TEXTS,
    DURATIONS,
    HOST_COUNTS,
    HOST_FLAGS,
    HOST_LISTS,
    HOST_MAPS,
    HOST_MIB,
    HOST_SETS,
    HOST_TEXTS,
    MIB,
    NANO,
    capability,
    normalize,
)
from plugins.docker.duration import duration
from plugins.docker.labels import from_map
from plugins.kind import same_keys

# What the engine chooses where the program says nothing.
CHOSEN = frozenset(
    {
        *("hostname", "logDriver", "logOpts", "memorySwap", "shmSize", "init"),
        *HOST_TEXTS.keys() - {"cpuSet", "pidMode", "usernsMode"},
    }
)
NETWORK_DATA = {
    "gateway": "Gateway",
    "globalIpv6Address": "GlobalIPv6Address",
    "globalIpv6PrefixLength": "GlobalIPv6PrefixLen",
    "ipAddress": "IPAddress",
    "ipPrefixLength": "IPPrefixLen",
    "ipv6Gateway": "IPv6Gateway",
    "macAddress": "MacAddress",
}


def inputs_of(live: Props, image: Props, known: Props, known_image_id: str | None) -> Props:
    """In the form that normalize returns. image: the description of the container's image, {}
    when the engine has it no longer. known_image_id: what `known["image"]` stands for now."""
    found = {
        "name": live["Name"].removeprefix("/"),
        "image": _image(live, known, known_image_id),
        **_behaviour(live, known),
        **_program(live, (image.get("Config") or {}), known),
        **_host(live["HostConfig"], known),
        **_networks(live, known),
        **_storage(live, known),
    }
    if "uploads" in known:  # what the program has made of its files since is its own matter
        found["uploads"] = known["uploads"]
    return normalize(same_keys(found, known, CHOSEN))


def outputs_of(live: Props) -> Props:
    host, config = live["HostConfig"], live["Config"]
    return {
        **{name: host[own] for name, own in HOST_TEXTS.items() if name in CHOSEN},
        "bridge": live["NetworkSettings"].get("Bridge", ""),
        "exitCode": live["State"]["ExitCode"],
        "hostname": config["Hostname"],
        "init": bool(host.get("Init")),
        "logDriver": host["LogConfig"]["Type"],
        "logOpts": host["LogConfig"]["Config"] or {},
        "memorySwap": _mib(host["MemorySwap"]),
        "networkDatas": [
            {"networkName": name, **{key: end[own] for key, own in NETWORK_DATA.items()}}
            for name, end in sorted(live["NetworkSettings"]["Networks"].items())
        ],
        "shmSize": host["ShmSize"] // MIB,
    }


def is_running(live: Props) -> bool:
    return bool(live["State"]["Status"] == "running")


def _image(live: Props, known: Props, known_image_id: str | None) -> str:
    """As the program names it, unless that name stands for another image by now."""
    named = known.get("image")
    if named and known_image_id in (None, live["Image"]) and live["Config"]["Image"] == named:
        return str(named)
    if named and known_image_id == live["Image"]:
        return str(named)
    # On import by the name that was given, an id only when that is what was given.
    return str(live["Image"] if named else live["Config"]["Image"])


def _behaviour(live: Props, known: Props) -> Props:
    kept = {name: known.get(name, default) for name, default in BEHAVIOUR.items()}
    if kept["mustRun"] and kept["start"] and not kept["attach"]:
        kept["mustRun"] = is_running(live)
    return kept


def _program(live: Props, image: Props, known: Props) -> Props:
    """The image's own settings are no inputs, unless the program gives them too."""
    config = live["Config"]
    found: Props = {name: bool(config[own]) for name, own in CONFIG_FLAGS.items()}
    for name, own in (CONFIG_TEXTS | CONFIG_LISTS).items():
        value = config.get(own) or None
        if name in known or value != (image.get(own) or None):
            found[name] = value
    if found.get("hostname") == live["Id"][:12]:
        del found["hostname"]
    from_image = set(image.get("Env") or []) - set(known.get("envs", []))
    envs = sorted(set(config.get("Env") or []) - from_image)
    if envs or "envs" in known:
        found["envs"] = envs
    told = {label["label"] for label in known.get("labels", [])}
    inherited = {k: v for k, v in (image.get("Labels") or {}).items() if k not in told}
    labels = {
        k: v for k, v in (config.get("Labels") or {}).items() if inherited.get(k, object()) != v
    }
    if labels or "labels" in known:
        found["labels"] = from_map(labels)
    found["stopTimeout"] = config.get("StopTimeout")
    check = config.get("Healthcheck")
    if check and ("healthcheck" in known or check != image.get("Healthcheck")):
        found["healthcheck"] = _healthcheck(check, known.get("healthcheck", {}))
    return found


def _healthcheck(live: Props, known: Props) -> Props:
    found: Props = {"tests": live["Test"]}
    for name, own in DURATIONS.items():
        if live.get(own) or name in known:
            found[name] = duration(live.get(own, 0))
    if live.get("Retries") or "retries" in known:
        found["retries"] = live.get("Retries", 0)
    return found


def _host(host: Props, known: Props) -> Props:
    found: Props = {name: bool(host[own]) for name, own in HOST_FLAGS.items()}
    for name, own in (HOST_TEXTS | HOST_LISTS | HOST_SETS | HOST_MAPS | HOST_COUNTS).items():
        if host.get(own) or name in known:
            found[name] = host.get(own) or known.get(name)
    found |= {name: _mib(host[own]) for name, own in HOST_MIB.items() if host[own]}
    if found.get("memorySwap") == -1:  # the machine's kernel does not limit swap
        found["memorySwap"] = known.get("memorySwap", -1)
    if host["NanoCpus"]:
        found["cpus"] = f"{(Decimal(host['NanoCpus']) / NANO).normalize():f}"
    sets = {"adds": host["CapAdd"], "drops": host["CapDrop"]}
    capabilities = {name: [capability(c) for c in given] for name, given in sets.items() if given}
    if capabilities or "capabilities" in known:
        empty: Props = {name: [] for name in known.get("capabilities", {})}
        found["capabilities"] = empty | capabilities
    if host.get("Init") is not None:
        found["init"] = host["Init"]
    logs = host["LogConfig"]
    found |= {"logDriver": logs["Type"], "logOpts": logs["Config"] or {}}
    if host["Ulimits"]:
        found["ulimits"] = [
            {"name": u["Name"], "soft": u["Soft"], "hard": u["Hard"]} for u in host["Ulimits"]
        ]
    if host["ExtraHosts"]:
        pairs = [entry.partition(":") for entry in host["ExtraHosts"]]
        found["hosts"] = [{"host": name, "ip": ip} for name, _, ip in pairs]
    found["restart"] = host["RestartPolicy"]["Name"] or "no"
    retries = host["RestartPolicy"]["MaximumRetryCount"]
    if retries or "maxRetryCount" in known:
        found["maxRetryCount"] = retries
    return found


def _networks(live: Props, known: Props) -> Props:
    told = known.get("networksAdvanced", [])
    found = []
    for name, end in live["NetworkSettings"]["Networks"].items():
        if name in ("bridge", "host", "none"):
            continue
        ours: Props = next((t for t in told if t["name"] in (name, end["NetworkID"])), {})
        found.append(_network(name, end, (live["Id"][:12], live["Config"]["Hostname"]), ours))
    mode = live["HostConfig"]["NetworkMode"]
    own_mode = mode in ("host", "none") or mode.startswith("container:")
    networks: Props = {"networkMode": mode if own_mode else "bridge"}
    if found or told:
        networks["networksAdvanced"] = found
    ports = _ports(live["HostConfig"]["PortBindings"] or {})
    if ports or "ports" in known:
        networks["ports"] = ports
    return networks


def _network(name: str, end: Props, added: tuple[str, str], known: Props) -> Props:
    """added: aliases that the engine gives every container by itself."""
    found: Props = {"name": known.get("name", name)}
    told = known.get("aliases", [])
    aliases = [alias for alias in end["Aliases"] or [] if alias in told or alias not in added]
    if aliases or "aliases" in known:
        found["aliases"] = aliases
    given = end["IPAMConfig"] or {}
    for key, own in (("ipv4Address", "IPv4Address"), ("ipv6Address", "IPv6Address")):
        if given.get(own):
            found[key] = given[own]
    return found


def _ports(bindings: Mapping[str, Any]) -> list[Props]:
    found = []
    for place, ends in bindings.items():
        internal, _, protocol = place.partition("/")
        for end in ends:
            port: Props = {"internal": int(internal), "protocol": protocol}
            port["ip"] = end["HostIp"] or "0.0.0.0"  # noqa: S104 - the engine's default
            if end["HostPort"] not in ("", "0"):
                port["external"] = int(end["HostPort"])
            found.append(port)
    return found


def _storage(live: Props, known: Props) -> Props:
    host = live["HostConfig"]
    volumes = [_volume(bind) for bind in host["Binds"] or []]
    volumes += [
        {"fromContainer": source, "readOnly": mode == "ro"}
        for source, _, mode in (entry.partition(":") for entry in host["VolumesFrom"] or [])
    ]
    told = {v.get("containerPath") for v in known.get("volumes", [])}
    # Anonymous volumes of the image are among these, too.
    volumes += [
        {"containerPath": path, "readOnly": False}
        for path in live["Config"].get("Volumes") or {}
        if path in told
    ]
    found: Props = {}
    if volumes or "volumes" in known:
        found["volumes"] = volumes
    mounts = host.get("Mounts") or []
    if mounts or "mounts" in known:
        told_mounts = {mount["target"]: mount for mount in known.get("mounts", [])}
        found["mounts"] = [_mount(m, told_mounts.get(m["Target"], {})) for m in mounts]
    return found


def _volume(bind: str) -> Props:
    source, path, *mode = bind.split(":")
    own = "hostPath" if source.startswith("/") else "volumeName"
    return {own: source, "containerPath": path, "readOnly": mode == ["ro"]}


def _mount(live: Props, known: Props) -> Props:
    found: Props = {
        "target": live["Target"],
        "type": live["Type"],
        "readOnly": live.get("ReadOnly", False),
    }
    if live.get("Source"):
        found["source"] = live["Source"]
    if bind := live.get("BindOptions"):
        found["bindOptions"] = _named(bind, (("propagation", "Propagation"),))
    if tmpfs := live.get("TmpfsOptions"):
        found["tmpfsOptions"] = _named(tmpfs, (("sizeBytes", "SizeBytes"), ("mode", "Mode")))
    if volume := live.get("VolumeOptions"):
        driver = volume.get("DriverConfig") or {}
        options = _named(driver, (("driverName", "Name"), ("driverOptions", "Options")))
        options |= _named(volume, (("noCopy", "NoCopy"),))
        if volume.get("Labels"):
            options["labels"] = from_map(volume["Labels"])
        found["volumeOptions"] = known.get("volumeOptions", {}) | options
    return found


def _named(live: Props, names: Iterable[tuple[str, str]]) -> Props:
    return {name: live[own] for name, own in names if live.get(own)}


def _mib(count: int) -> int:
    return count // MIB if count > 0 else count
