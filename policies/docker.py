"""Rules on Docker containers, networks and the daemon, as pulumi-docker writes them.

They follow the CIS Docker Benchmark 1.6.
"""

from collections.abc import Iterator

from policies.kubernetes.images import REGISTRIES, pinned
from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    each,
    matches,
    names,
    violation,
)
from policies.reading import (
    DOCKER_CONTAINER,
    PROCESS,
    File,
    files_named,
    images,
    is_job,
    is_runtime_socket,
)
from policies.values import Node

NETWORK = "docker:index/network:Network"
IMAGE = "docker:index/image:Image"
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"
PROVIDER = "pulumi:providers:docker"
MOST_RESTARTS = 5
# A bind of one of these, or of anything below, hands the host to the container.
SENSITIVE = (
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/usr",
    "/var",
)


def _never_started(resource: Resource) -> bool:
    """It holds files for others: nothing runs in it, and files cannot go into a read-only root."""
    return resource.props["start"].value is False


def _user(resource: Resource, _context: Context) -> Found:
    user = resource.props["user"]
    if user.text.partition(":")[0] in ("", "0", "root"):
        yield violation(user)


def _published(resource: Resource, context: Context) -> Found:
    if matches(resource.props["name"].text or resource.name, context.settings["gateways"]):
        return
    for port in resource.props["ports"]:
        if port["external"].value is not None and port["ip"].text not in ("127.0.0.1", "::1"):
            yield violation(port["ip"], f"port {port['external'].shown()}")
    if resource.props["publishAllPorts"].on:
        yield violation(resource.props["publishAllPorts"])


def _hardened(resource: Resource, _context: Context) -> Found:
    props = resource.props
    if not props["readOnly"].on and not _never_started(resource):
        yield violation(props["readOnly"])
    if not {"ALL", "CAP_ALL"} & set(props["capabilities.drops"].texts()):
        yield violation(props["capabilities.drops"])
    options = {option.replace("=", ":") for option in props["securityOpts"].texts()}
    if not {"no-new-privileges", "no-new-privileges:true"} & options:
        yield violation(props["securityOpts"])
    if props["privileged"].on:
        yield violation(props["privileged"])


def _limited(resource: Resource, _context: Context) -> Found:
    props = resource.props
    if not props["memory"].number:
        yield violation(props["memory"])
    if all(props[key].missing for key in ("cpus", "cpuQuota", "cpuSet", "cpuShares")):
        yield violation(props["cpus"])
    limits = {limit["name"].text for limit in props["ulimits"]}
    for name in ("nofile", "nproc"):
        if name not in limits:
            yield violation(props["ulimits"], f"no {name}")


def _healthy(resource: Resource, _context: Context) -> Found:
    props = resource.props
    if is_job(resource):
        return
    if props["healthcheck.tests"].missing or props["healthcheck.tests"].texts() == ["NONE"]:
        yield violation(props["healthcheck"])
    restart, most = props["restart"], props["maxRetryCount"]
    if restart.text != "on-failure" or not 0 < (most.number or 0) <= MOST_RESTARTS:
        yield violation(restart if restart.text != "on-failure" else most)


def _own_network(resource: Resource, context: Context) -> Found:
    props = resource.props
    if resource.type == NETWORK:
        name = props["name"].text or resource.name
        if not props["internal"].on and not matches(name, context.settings["open"]):
            yield violation(props["internal"])
        return
    mode = props["networkMode"]
    if mode.text == "host":
        yield violation(mode)
    elif mode.text in ("", "bridge", "default") and props["networksAdvanced"].missing:
        yield violation(props["networksAdvanced"])


def _binds(resource: Resource) -> Iterator[tuple[Node, Node]]:
    """Paths of the host, each with whether it is read-only."""
    for volume in resource.props["volumes"]:
        if not volume["hostPath"].missing:
            yield volume["hostPath"], volume["readOnly"]
    for mount in resource.props["mounts"]:
        if mount["type"].text == "bind":
            yield mount["source"], mount["readOnly"]


def _bind(bind: tuple[Node, Node], context: Context) -> Found:
    path, read_only = bind
    if matches(path.text, context.settings["paths"]):
        return
    if is_runtime_socket(path.text):
        yield violation(path, "the socket of the container runtime")
    elif path.text == "/" or any(
        path.text == root or path.text.startswith(f"{root}/") for root in SENSITIVE[1:]
    ):
        yield violation(path, "belongs to the host")
    elif not read_only.on:
        yield violation(read_only, f"of {path.shown()}")


def _built_or_pinned(resource: Resource, context: Context) -> Found:
    if resource.type != IMAGE:
        if resource.props["build"].missing:
            for image in images(resource):
                yield from pinned(image, context)
        return
    text = resource.props["dockerfileText"]
    words = {line.split()[0].upper() for line in text.text.splitlines() if line.strip()}
    for instruction in ("HEALTHCHECK", "USER"):
        if text.text and instruction not in words:
            yield violation(resource.props["build.dockerfile"], f"no {instruction}")


def _daemon(file: File, _context: Context) -> Found:
    values = file.text.parsed()
    rootless = values["rootless"]
    if values["userns-remap"].missing and not rootless.on:
        yield violation(values["userns-remap"])
    if not values["icc"].off:
        yield violation(values["icc"])
    if not values["live-restore"].on:
        yield violation(values["live-restore"])
    if values["log-opts.max-size"].missing:
        yield violation(values["log-opts.max-size"])
    for host in values["hosts"]:
        if host.text.startswith("tcp://") and not values["tlsverify"].on:
            yield violation(host, "without tlsverify")


def _daemon_address(resource: Resource, context: Context) -> Found:
    if resource.type != PROVIDER:
        yield from each(files_named("daemon.json"), _daemon)(resource, context)
        return
    host = resource.props["host"]
    secured = any(not resource.props[key].missing for key in ("caMaterial", "certPath"))
    if host.text.startswith(("tcp://", "http://")) and not secured:
        yield violation(host)


RULES = (
    Rule(
        id="D01",
        title="Containers do not run as root.",
        why="Who breaks out of a container of root is root outside.",
        fix="set user to a number other than 0",
        severity=Severity.HIGH,
        types=(DOCKER_CONTAINER,),
        check=_user,
    ),
    Rule(
        id="D02",
        title="Published ports listen on loopback, but for the gateway.",
        why="Docker publishes on every address of the host, and goes round its firewall.",
        fix="set ip to 127.0.0.1",
        severity=Severity.HIGH,
        types=(DOCKER_CONTAINER,),
        check=_published,
        settings={"gateways": names(("gateway",), "Names of containers that face the network.")},
    ),
    Rule(
        id="D03",
        title="Containers are read-only, without capabilities and without new privileges.",
        why="What a service does not need helps only an intruder.",
        fix="set readOnly, capabilities.drops ALL, securityOpts no-new-privileges:true",
        severity=Severity.HIGH,
        types=(DOCKER_CONTAINER,),
        check=_hardened,
    ),
    Rule(
        id="D04",
        title="Containers are limited in memory, processors, files and processes.",
        why="One service would take what all others of the host need.",
        fix="set memory, cpus and ulimits of nofile and nproc",
        severity=Severity.MEDIUM,
        types=(DOCKER_CONTAINER,),
        check=_limited,
    ),
    Rule(
        id="D05",
        title="Containers have a health check and a bounded restart policy.",
        why="A hung service is not noticed; one that crashes at each start fills disk and log.",
        fix=f"set healthcheck, restart on-failure and maxRetryCount of 1 to {MOST_RESTARTS}",
        severity=Severity.MEDIUM,
        types=(DOCKER_CONTAINER,),
        check=_healthy,
    ),
    Rule(
        id="D06",
        title="Containers are on networks of their own; those of data are internal.",
        why="On the default bridge every container reaches every other.",
        fix="use networksAdvanced, and networks that are internal",
        severity=Severity.HIGH,
        types=(DOCKER_CONTAINER, NETWORK),
        check=_own_network,
        settings={
            "open": names(
                ("*access*", "*edge*", "*gateway*", "*outside*"),
                "Networks that must reach outside.",
            )
        },
    ),
    Rule(
        id="D07",
        title="No Docker socket, no path of the host that matters; binds are read-only.",
        why="The socket is root on the host, and so are most of its system folders.",
        fix="use a volume; bind only files that the service reads, with readOnly",
        severity=Severity.HIGH,
        types=(DOCKER_CONTAINER,),
        check=each(_binds, _bind),
        settings={"paths": names((), "Paths of the host that may be bound, also to write.")},
    ),
    Rule(
        id="D08",
        title="Images are pinned by digest; own ones name a user and a health check.",
        why="A tag can be moved to another image after the review.",
        fix="write name:tag@sha256:digest; put USER and HEALTHCHECK into the Dockerfile",
        severity=Severity.MEDIUM,
        types=(DOCKER_CONTAINER, IMAGE, REMOTE_IMAGE),
        check=_built_or_pinned,
        settings={"registries": names(REGISTRIES, "Registries that images may come from.")},
    ),
    Rule(
        id="D09",
        title="The Docker daemon is reached over TLS and isolates containers.",
        why="Whoever reaches the daemon is root on its host.",
        fix="use a unix socket, ssh or TLS; set userns-remap, icc false, live-restore, log-opts",
        severity=Severity.MEDIUM,
        types=(PROVIDER, PROCESS, DOCKER_CONTAINER, "kubernetes:core/v1:ConfigMap"),
        check=_daemon_address,
    ),
)
