"""Where a resource holds what rules look for, whatever runs it: a supervised process, a Docker
container, or Kubernetes objects."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from policies.model import Resource
from policies.values import UNKNOWN, Node, NotKnown

PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
JOB = "pulumi-python:dynamic/dataflow/local:Job"
DOCKER_CONTAINER = "docker:index/container:Container"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
WORKLOADS = (
    "kubernetes:apps/*:Deployment",
    "kubernetes:apps/*:StatefulSet",
    "kubernetes:apps/*:DaemonSet",
)
BATCH = ("kubernetes:batch/*:Job", "kubernetes:batch/*:CronJob")
PODS = (*WORKLOADS, *BATCH, "kubernetes:core/v1:Pod")
CONFIGURED = (PROCESS, DOCKER_CONTAINER, CONFIG_MAP)  # what holds configuration files
STARTED = (PROCESS, DOCKER_CONTAINER, *PODS)  # what has an environment

_RUNTIME_SOCKETS = re.compile(r"(docker|containerd|crio|podman)\.sock$|/run/containerd")
_CREDENTIAL_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret(_?key)?|token|api_?key|private_?key|credentials?|"
    r"client_?secret)$"
)
_CREDENTIAL_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?<![\w.])[a-z][a-z0-9+.-]*://[^\s/:@\"']+:(?!\$|\{|%s|<)[^\s/:@\"']+@"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
)
# `password: hunter2`, `--password=hunter2`; not a reference such as ${NAME}, nor a path.
_CREDENTIAL_LINE = re.compile(
    r"(?im)^[\s\"'-]*(?:[\w.-]*[._-])?(?:password|passwd|secret[_-]?key|client[_-]?secret|"
    r"api[_-]?key|access[_-]?token)[\"']?\s*[:=]\s*[\"']?(?![\"'\s]|$|[$<{/]|null\b|true\b|"
    r"false\b|none\b|_\w|[\w.]+\()([^\s\"',]{4,})"
)


class Pod(NamedTuple):
    """The template of a workload's pods."""

    meta: Node
    spec: Node


class Container(NamedTuple):
    pod: Pod
    node: Node
    init: bool

    def effective(self, key: str) -> Node:
        """A field of the security context: the container's, else that of its pod."""
        own = self.node["securityContext"][key]
        return self.pod.spec["securityContext"][key] if own.value is None else own


class File(NamedTuple):
    name: str
    text: Node


class Variable(NamedTuple):
    """An environment variable. value: a Node of None when it comes from a reference."""

    name: str
    value: Node


def pod(resource: Resource) -> Pod:
    path = {"Pod": "", "CronJob": "spec.jobTemplate.spec.template"}
    where = path.get(resource.kind, "spec.template")
    template = resource.props[where] if where else resource.props
    return Pod(template["metadata"], template["spec"])


def pods(resource: Resource) -> Iterator[Pod]:
    yield pod(resource)


def containers(resource: Resource) -> Iterator[Container]:
    """Of a pod; those that prepare it too."""
    template = pod(resource)
    for node in template.spec["initContainers"]:
        yield Container(template, node, init=True)
    for node in template.spec["containers"]:
        yield Container(template, node, init=False)


def images(resource: Resource) -> Iterator[Node]:
    """Image references of pods and containers."""
    if resource.type == DOCKER_CONTAINER:
        yield resource.props["image"]
    elif resource.kind == "RemoteImage":
        yield resource.props["name"]
    else:
        for container in containers(resource):
            yield container.node["image"]


def files(resource: Resource) -> Iterator[File]:
    """Configuration files: base name and text."""
    if resource.type == DOCKER_CONTAINER:
        for upload in resource.props["uploads"]:
            yield File(_base(upload["file"].text), upload["content"])
        return
    for key in ("data",) if resource.type == CONFIG_MAP else ("files", "secretFiles"):
        for name, text in resource.props[key].items():
            yield File(_base(name), text)


def files_named(*names: str) -> Callable[[Resource], Iterator[File]]:
    """A reader of the files of these base names."""

    def read(resource: Resource) -> Iterator[File]:
        return (file for file in files(resource) if file.name in names)

    return read


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def variables(resource: Resource) -> Iterator[Variable]:
    """The environment of a process or container. One whose name is not known is called ""."""
    if resource.type == DOCKER_CONTAINER:
        for item in resource.props["envs"]:
            name, _, text = known_text(item).partition("=")
            given = text if item.known else UNKNOWN
            yield Variable(name, item.derived(given, f"{item.path} {name}".strip()))
    elif resource.type in (PROCESS, JOB):
        for name, value in resource.props["environment"].items():
            yield Variable(name, value)
    else:
        for container in containers(resource):
            for entry in container.node["env"]:
                yield Variable(known_text(entry["name"]), entry["value"])


def arguments(resource: Resource) -> Iterator[Node]:
    """Command lines, word by word."""
    if resource.type == DOCKER_CONTAINER:
        yield from resource.props["command"]
        yield from resource.props["entrypoints"]
    elif resource.type in (PROCESS, JOB):
        yield from resource.props["command"]
    else:
        for container in containers(resource):
            yield from container.node["command"]
            yield from container.node["args"]


def configuration(text: Node) -> dict[str, Node]:
    """`key = value` lines, as in postgresql.conf: the last one of a key counts."""
    found: dict[str, Node] = {}
    for line in text.text.splitlines():
        match = re.match(r"\s*([\w.]+)\s*=?\s*('(?:[^']|'')*'|[^#\s]+)", line)
        if match and not line.lstrip().startswith("#"):
            value = match[2].strip("'").strip()
            found[match[1].lower()] = text.derived(value, f"{text.path} {match[1]}")
    return found


def is_job(container: Resource) -> bool:
    """Whether a Docker container is one that runs to its end."""
    return container.type == DOCKER_CONTAINER and container.props["mustRun"].off


def is_runtime_socket(path: str) -> bool:
    return bool(_RUNTIME_SOCKETS.search(path))


def names_credential(name: str) -> bool:
    """Whether a key is one whose value is a credential: `password`, but not `passwordFile`."""
    return bool(_CREDENTIAL_NAME.search(name))


def holds_credential(text: str) -> bool:
    """Whether a text holds a credential in clear: a private key, a URL with a password, a token,
    or a line that sets a password."""
    return bool(_CREDENTIAL_TEXT.search(text) or _CREDENTIAL_LINE.search(text))


def flattened(node: Node) -> dict[str, Node]:
    """Nested members under dotted names: {a: {b: 1}} and {"a.b": 1} are the same, as in
    Elasticsearch's settings."""
    found: dict[str, Node] = {}
    for name, member in node.items():
        if not member.known:
            found[name] = member
            continue
        inner = flattened(member)
        found |= {f"{name}.{key}": value for key, value in inner.items()} or {name: member}
    return found


def setting(values: dict[str, Node], name: str, path: str) -> Node:
    """The value of `name`; unknown when one that may be it is, else not set."""
    if name in values:
        return values[name]
    if "" in values:
        return Node(UNKNOWN, f"{path} {name}")
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(1, len(parts)))
    if any(prefix in values and not values[prefix].known for prefix in prefixes):
        return Node(UNKNOWN, f"{path} {name}")
    return Node(None, f"{path} {name}")


def hours(duration: str) -> float | None:
    """A duration of Go, such as 2160h or 1h30m, in hours."""
    if not re.fullmatch(r"(\d+(\.\d+)?[hms])+", duration):
        return None
    unit = {"h": 1.0, "m": 1 / 60, "s": 1 / 3600}
    return sum(float(n) * unit[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)([hms])", duration))


def known_text(node: Node) -> str:
    """Its text, or "" while it is unknown."""
    try:
        return node.text
    except NotKnown:
        return ""
