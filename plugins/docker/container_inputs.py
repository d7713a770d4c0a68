"""The inputs of a container: canonical form, and the body of the call that creates it."""

import base64
import binascii
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from dynamic_providers.handler import UNKNOWN, InputError, Props
from plugins.docker.duration import duration, nanoseconds
from plugins.docker.labels import read_labels, read_texts, to_map
from plugins.kind import Fields

MIB = 2**20
NANO = 10**9
RESTARTS = ("no", "on-failure", "always", "unless-stopped")
MOUNT_TYPES = ("bind", "volume", "tmpfs")
DURATIONS = {  # input of healthcheck -> its name in the API
    "interval": "Interval",
    "timeout": "Timeout",
    "startPeriod": "StartPeriod",
    "startInterval": "StartInterval",
}
# What the plugin does, which the engine does not record: input -> default.
BEHAVIOUR: Mapping[str, Any] = {
    "attach": False,
    "containerReadRefreshTimeoutMilliseconds": 15_000,
    "destroyGraceSeconds": None,
    "logs": False,
    "mustRun": True,
    "removeVolumes": True,
    "start": True,
    "wait": False,
    "waitTimeout": 60,
}
# Input -> its name in Config, the part of a container that is the image's too.
CONFIG_TEXTS = {
    "domainname": "Domainname",
    "hostname": "Hostname",
    "stopSignal": "StopSignal",
    "user": "User",
    "workingDir": "WorkingDir",
}
CONFIG_LISTS = {"command": "Cmd", "entrypoints": "Entrypoint"}
CONFIG_FLAGS = {"stdinOpen": "OpenStdin", "tty": "Tty"}
# Input -> its name in HostConfig, the part that the host decides.
HOST_TEXTS = {
    "cgroupnsMode": "CgroupnsMode",
    "cpuSet": "CpusetCpus",
    "ipcMode": "IpcMode",
    "pidMode": "PidMode",
    "runtime": "Runtime",
    "usernsMode": "UsernsMode",
}
HOST_FLAGS = {
    "privileged": "Privileged",
    "publishAllPorts": "PublishAllPorts",
    "readOnly": "ReadonlyRootfs",
    "rm": "AutoRemove",
}
HOST_COUNTS = {"cpuPeriod": "CpuPeriod", "cpuQuota": "CpuQuota", "cpuShares": "CpuShares"}
HOST_MIB = {
    "memory": "Memory",
    "memoryReservation": "MemoryReservation",
    "memorySwap": "MemorySwap",
    "shmSize": "ShmSize",
}
HOST_LISTS = {"dns": "Dns", "dnsOpts": "DnsOptions", "dnsSearches": "DnsSearch"}  # ordered
HOST_SETS = {"groupAdds": "GroupAdd", "securityOpts": "SecurityOpt"}
HOST_MAPS = {"sysctls": "Sysctls", "tmpfs": "Tmpfs"}

# The engine changes these on a container as it is.
LIMITS = frozenset({*HOST_COUNTS, "cpus", "cpuSet", "memory", "memoryReservation", "memorySwap"})
IN_PLACE = LIMITS | BEHAVIOUR.keys() | {"restart", "maxRetryCount"}
RECREATED = frozenset(
    {
        *("image", "name", "envs", "labels", "healthcheck", "stopTimeout"),
        *CONFIG_TEXTS,
        *CONFIG_LISTS,
        *CONFIG_FLAGS,
        *("capabilities", "cpus", "hosts", "init", "logDriver", "logOpts", "networkMode"),
        *("ports", "ulimits", "mounts", "volumes", "networksAdvanced", "uploads"),
        *HOST_TEXTS,
        *HOST_FLAGS,
        *HOST_MIB,
        *HOST_LISTS,
        *HOST_SETS,
        *HOST_MAPS,
    }
) - frozenset(IN_PLACE)


def normalize(raw: Mapping[str, Any]) -> Props:
    fields = Fields(raw)
    fields.text("image", required=True)
    fields.text("name", required=True)
    _read_behaviour(fields)
    _read_program(fields)
    _read_limits(fields)
    _read_network(fields)
    _read_storage(fields)
    for name in HOST_TEXTS:
        fields.text(name)
    for name in HOST_FLAGS:
        fields.flag(name, False)
    for name in HOST_SETS:
        fields.names(name)
    read_texts(fields, "sysctls")
    fields.nested("capabilities", _read_capabilities)
    fields.flag("init", None)
    fields.text("logDriver")
    read_texts(fields, "logOpts")
    restart = fields.text("restart", "no", among=RESTARTS)
    retries = fields.integer("maxRetryCount")
    if retries and restart not in ("on-failure", UNKNOWN):
        raise InputError("maxRetryCount", f"{retries}: is for restart on-failure only")
    spec = fields.done()
    _refuse_contradictions(spec)
    return spec


def _read_behaviour(fields: Fields) -> None:
    for name, default in BEHAVIOUR.items():
        if isinstance(default, bool):
            fields.flag(name, default)
        else:
            fields.integer(name, default)


def _read_program(fields: Fields) -> None:
    for name in CONFIG_TEXTS:
        fields.text(name)
    for name in CONFIG_LISTS:
        fields.names(name, ordered=True)
    for name in CONFIG_FLAGS:
        fields.flag(name, False)
    fields.names("envs")
    fields.integer("stopTimeout")
    read_labels(fields)
    fields.nested("healthcheck", _read_healthcheck)


def _read_healthcheck(check: Fields) -> None:
    check.names("tests", required=True, ordered=True)
    for name in DURATIONS:
        check.field(name, lambda value, at: duration(nanoseconds(str(value), at)), None, False)
    check.integer("retries")


def _read_limits(fields: Fields) -> None:
    for name in (*HOST_COUNTS, *HOST_MIB):
        fields.integer(name, least=-1 if name == "memorySwap" else 0)
    fields.field("cpus", _cpus, None, False)

    def one(limit: Fields) -> None:
        limit.text("name", required=True)
        limit.integer("soft", least=-1)
        limit.integer("hard", least=-1)

    fields.each("ulimits", one, lambda item: str(item["name"]))


def _cpus(value: Any, at: str) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal(-1)
    if not number.is_finite() or number <= 0:
        raise InputError(at, f"{value!r}: expected a number of cores such as 1.5")
    return f"{number.normalize():f}"


def _read_network(fields: Fields) -> None:
    def port(one: Fields) -> None:
        one.integer("internal", least=1)
        one.integer("external", least=1)
        one.text("ip", "0.0.0.0")  # noqa: S104 - the engine's own default
        one.text("protocol", "tcp", among=("tcp", "udp", "sctp"))

    def host(one: Fields) -> None:
        one.text("host", required=True)
        one.text("ip", required=True)

    def network(one: Fields) -> None:
        one.text("name", required=True)
        one.names("aliases")
        one.text("ipv4Address")
        one.text("ipv6Address")

    fields.each(
        "ports", port, lambda item: f"{item.get('internal')}/{item['protocol']}{item['ip']}"
    )
    fields.each("hosts", host, lambda item: f"{item['host']} {item['ip']}")
    fields.each("networksAdvanced", network, lambda item: str(item["name"]))
    fields.text("networkMode", "bridge")
    for name in HOST_LISTS:
        fields.names(name, ordered=True)


def _read_capabilities(sets: Fields) -> None:
    for name in ("adds", "drops"):
        sets.names(name, fold=capability)


def capability(name: str) -> str:
    """As newer engines spell it: CAP_CHOWN for chown."""
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _read_storage(fields: Fields) -> None:
    def volume(one: Fields) -> None:
        for name in ("containerPath", "volumeName", "hostPath", "fromContainer"):
            one.text(name)
        one.flag("readOnly", False)

    def bind(one: Fields) -> None:
        one.text("propagation")

    def tmpfs(one: Fields) -> None:
        one.integer("mode")
        one.integer("sizeBytes")

    def of_volume(one: Fields) -> None:
        one.flag("noCopy", None)
        one.text("driverName")
        read_texts(one, "driverOptions")
        read_labels(one)

    def mount(one: Fields) -> None:
        one.text("target", required=True)
        one.text("type", required=True, among=MOUNT_TYPES)
        one.text("source")
        one.flag("readOnly", False)
        one.nested("bindOptions", bind)
        one.nested("tmpfsOptions", tmpfs)
        one.nested("volumeOptions", of_volume)

    fields.each("volumes", volume, _volume_order)
    fields.each("mounts", mount, lambda item: str(item["target"]))
    fields.each("uploads", _read_upload, lambda item: str(item["file"]))
    read_texts(fields, "tmpfs")


def _volume_order(item: Props) -> str:
    return str(item.get("containerPath") or item.get("fromContainer"))


def _read_upload(one: Fields) -> None:
    one.text("file", required=True)
    content, encoded = one.secret("content", empty=True), one.secret("contentBase64")
    if (content is None) == (encoded is None):
        raise InputError(one.at("content"), "expected either content or contentBase64")
    if encoded not in (None, UNKNOWN):
        try:
            base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise InputError(one.at("contentBase64"), "is not base64") from None
    one.flag("executable", False)
    one.text("permissions")
    for name in ("owner", "group"):
        value = one.text(name)
        if value not in (None, UNKNOWN) and not value.isdigit():
            raise InputError(one.at(name), f"{value!r}: expected a number: names are the image's")


def _refuse_contradictions(spec: Props) -> None:
    if spec.get("uploads") and spec["readOnly"] is True:
        raise InputError(
            "uploads",
            "the engine copies no files into a container with readOnly: put them into a volume "
            "with a second container that is never started, or leave readOnly out",
        )
    if spec["wait"] is True and spec["start"] is False:
        raise InputError("wait", "a container that is not started never becomes healthy")
    if spec["logs"] is True and spec["attach"] is False:
        raise InputError("logs", "are kept of a container with attach only")
    for index, volume in enumerate(spec.get("volumes") or []):
        if volume == UNKNOWN:
            continue
        sources = [n for n in ("volumeName", "hostPath", "fromContainer") if n in volume]
        if len(sources) > 1:
            raise InputError(f"volumes[{index}].{sources[1]}", f"excludes {sources[0]}")
        if "containerPath" not in volume and sources != ["fromContainer"]:
            raise InputError(f"volumes[{index}].containerPath", "is missing")


def body(spec: Props) -> Props:
    """For POST /containers/create."""
    config = {own: spec[name] for name, own in CONFIG_TEXTS.items() if name in spec}
    config |= {own: spec[name] for name, own in CONFIG_LISTS.items() if name in spec}
    config |= {own: spec[name] for name, own in CONFIG_FLAGS.items()}
    first = next(iter(spec.get("networksAdvanced", [])), None)
    return {
        **config,
        "Image": spec["image"],
        "Env": spec.get("envs", []),
        "Labels": to_map(spec.get("labels")),
        "ExposedPorts": {_port(port): {} for port in spec.get("ports", [])},
        "Volumes": {v["containerPath"]: {} for v in spec.get("volumes", []) if is_anonymous(v)},
        **({"StopTimeout": spec["stopTimeout"]} if "stopTimeout" in spec else {}),
        **({"Healthcheck": _healthcheck(spec["healthcheck"])} if "healthcheck" in spec else {}),
        "HostConfig": _host_config(spec),
        **(
            {"NetworkingConfig": {"EndpointsConfig": {first["name"]: endpoint(first)}}}
            if first
            else {}
        ),
    }


def _host_config(spec: Props) -> Props:
    networks = spec.get("networksAdvanced", [])
    host: Props = {own: spec[name] for name, own in HOST_TEXTS.items() if name in spec}
    for names in (HOST_LISTS, HOST_SETS, HOST_MAPS):
        host |= {own: spec[name] for name, own in names.items() if name in spec}
    host |= {own: spec[name] for name, own in HOST_FLAGS.items()}
    if "init" in spec:
        host["Init"] = spec["init"]
    capabilities = spec.get("capabilities", {})
    return {
        **host,
        **limits(spec),
        **({"ShmSize": spec["shmSize"] * MIB} if "shmSize" in spec else {}),
        "Binds": [_bind(v) for v in spec.get("volumes", []) if has_source(v)],
        "VolumesFrom": [
            f"{v['fromContainer']}:{'ro' if v['readOnly'] else 'rw'}"
            for v in spec.get("volumes", [])
            if "fromContainer" in v
        ],
        "Mounts": [_mount(mount) for mount in spec.get("mounts", [])],
        "CapAdd": capabilities.get("adds", []),
        "CapDrop": capabilities.get("drops", []),
        "ExtraHosts": [f"{host['host']}:{host['ip']}" for host in spec.get("hosts", [])],
        "LogConfig": {"Type": spec.get("logDriver", ""), "Config": spec.get("logOpts", {})},
        "NetworkMode": networks[0]["name"] if networks else spec["networkMode"],
        "PortBindings": _bindings(spec.get("ports", [])),
        "Ulimits": [
            {"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in spec.get("ulimits", [])
        ],
    }


def limits(spec: Props) -> Props:
    """The part of HostConfig that POST /containers/{id}/update takes too."""
    found: Props = {own: spec[name] for name, own in HOST_COUNTS.items() if name in spec}
    for name in ("memory", "memoryReservation", "memorySwap"):
        if name in spec:
            found[HOST_MIB[name]] = spec[name] * MIB if spec[name] > 0 else spec[name]
    if spec.get("memory") and "memorySwap" not in spec:
        found["MemorySwap"] = 2 * found["Memory"]  # the engine's own choice, but only at creation
    if "cpus" in spec:
        found["NanoCpus"] = int(Decimal(spec["cpus"]) * NANO)
    if "cpuSet" in spec:
        found["CpusetCpus"] = spec["cpuSet"]
    policy = {"Name": spec["restart"], "MaximumRetryCount": spec.get("maxRetryCount", 0)}
    return {**found, "RestartPolicy": policy}


def endpoint(network: Props) -> Props:
    """A container's end in one network, for the API."""
    addresses = {
        "IPv4Address": network.get("ipv4Address"),
        "IPv6Address": network.get("ipv6Address"),
    }
    given = {name: address for name, address in addresses.items() if address}
    return {"Aliases": network.get("aliases", []), "IPAMConfig": given or None}


def is_anonymous(volume: Props) -> bool:
    return not has_source(volume) and "fromContainer" not in volume


def has_source(volume: Props) -> bool:
    return "volumeName" in volume or "hostPath" in volume


def _bind(volume: Props) -> str:
    source = volume.get("volumeName") or volume["hostPath"]
    return f"{source}:{volume['containerPath']}:{'ro' if volume['readOnly'] else 'rw'}"


def _mount(mount: Props) -> Props:
    body: Props = {
        "Target": mount["target"],
        "Type": mount["type"],
        "Source": mount.get("source", ""),
        "ReadOnly": mount["readOnly"],
    }
    if bind := mount.get("bindOptions"):
        body["BindOptions"] = {"Propagation": bind.get("propagation", "")}
    if tmpfs := mount.get("tmpfsOptions"):
        body["TmpfsOptions"] = {
            own: tmpfs[name]
            for name, own in (("sizeBytes", "SizeBytes"), ("mode", "Mode"))
            if name in tmpfs
        }
    if volume := mount.get("volumeOptions"):
        body["VolumeOptions"] = {
            "NoCopy": volume.get("noCopy", False),
            "Labels": to_map(volume.get("labels")),
            "DriverConfig": {
                "Name": volume.get("driverName", ""),
                "Options": volume.get("driverOptions", {}),
            },
        }
    return body


def _healthcheck(check: Props) -> Props:
    return {
        "Test": check["tests"],
        "Retries": check.get("retries", 0),
        **{
            own: nanoseconds(check[name], name) for name, own in DURATIONS.items() if name in check
        },
    }


def _port(port: Props) -> str:
    return f"{port['internal']}/{port['protocol']}"


def _bindings(ports: list[Props]) -> dict[str, list[Props]]:
    found: dict[str, list[Props]] = {}
    for port in ports:
        binding = {"HostIp": port["ip"], "HostPort": str(port.get("external", ""))}
        found.setdefault(_port(port), []).append(binding)
    return found
