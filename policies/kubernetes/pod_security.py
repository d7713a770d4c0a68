"""K01 to K11 and K21: the Pod Security Standards, baseline and restricted.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator

from policies.model import Context, Found, Resource, Rule, Severity, each, names, violation
from policies.reading import PODS, Container, Pod, containers, is_runtime_socket, pod, pods
from policies.values import Node

VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
)
LOWEST_USER = 10_000  # below are accounts of the host: an escape would land in one of them


def _host_namespaces(pod: Pod, _context: Context) -> Found:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec[key].on:
            yield violation(pod.spec[key])


def _privileged(container: Container, _context: Context) -> Found:
    if (node := container.node["securityContext.privileged"]).on:
        yield violation(node)


def _escalation(container: Container, _context: Context) -> Found:
    if not (node := container.node["securityContext.allowPrivilegeEscalation"]).off:
        yield violation(node)


def _capabilities(container: Container, _context: Context) -> Found:
    given = container.node["securityContext.capabilities"]
    if "ALL" not in given["drop"].texts():
        yield violation(given["drop"])
    if set(given["add"].texts()) - {"NET_BIND_SERVICE"}:
        yield violation(given["add"])


def _non_root(container: Container, _context: Context) -> Found:
    if not (node := container.effective("runAsNonRoot")).on:
        yield violation(node)
    if (node := container.effective("runAsUser")).number == 0:
        yield violation(node)


def _high_user(container: Container, _context: Context) -> Found:
    user = container.effective("runAsUser")
    if (user.number or 0) < LOWEST_USER:
        yield violation(user)


def _seccomp(container: Container, _context: Context) -> Found:
    profile = container.effective("seccompProfile")["type"]
    if profile.text not in ("RuntimeDefault", "Localhost"):
        yield violation(profile)


def _read_only_root(container: Container, _context: Context) -> Found:
    if not (node := container.node["securityContext.readOnlyRootFilesystem"]).on:
        yield violation(node)
    kinds = {volume["name"].text: _volume_kind(volume) for volume in container.pod.spec["volumes"]}
    for mount in container.node["volumeMounts"]:
        kind = kinds.get(mount["name"].text)  # None: a claim template of a StatefulSet
        if kind in ("csi", "hostPath") and not mount["readOnly"].on:
            yield violation(mount["readOnly"], f"volume {mount['name'].shown()} of type {kind}")


def _volume_kind(volume: Node) -> str:
    return next((key for key, _ in volume.items() if key != "name"), "emptyDir")


def _volumes(resource: Resource) -> Iterator[Node]:
    yield from pod(resource).spec["volumes"]


def _volume_types(volume: Node, _context: Context) -> Found:
    if (kind := _volume_kind(volume)) not in VOLUMES:
        yield violation(volume["name"], f"type {kind}")


def _no_host_ports(resource: Resource, _context: Context) -> Found:
    for container in containers(resource):
        for port in container.node["ports"]:
            if port["hostPort"].number:
                yield violation(port["hostPort"])
    for volume in _volumes(resource):
        if is_runtime_socket((path := volume["hostPath.path"]).text):
            yield violation(path)


def _baseline_rest(resource: Resource, _context: Context) -> Found:
    template = pod(resource)
    for sysctl in template.spec["securityContext.sysctls"]:
        if sysctl["name"].text not in SAFE_SYSCTLS:
            yield violation(sysctl["name"])
    yield from _selinux(template.spec["securityContext.seLinuxOptions"])
    for container in containers(resource):
        context = container.node["securityContext"]
        if (mount := context["procMount"]).text not in ("", "Default"):
            yield violation(mount)
        yield from _selinux(context["seLinuxOptions"])


def _selinux(options: Node) -> Found:
    for key in ("user", "role"):
        if options[key].text:
            yield violation(options[key])


def _restricted(resource: Resource, context: Context) -> Found:
    if resource.props["metadata.name"].text in context.settings["namespaces"]:
        return
    label = resource.props["metadata.labels"].member("pod-security.kubernetes.io/enforce")
    if label.text != "restricted":
        yield violation(label)


RULES = (
    Rule(
        id="K01",
        title="Pods use no namespace of the host.",
        why="A pod in the host's network, process or IPC namespace sees and reaches the others.",
        fix="remove it: a Service reaches a pod without the host's namespaces",
        severity=Severity.HIGH,
        types=PODS,
        check=each(pods, _host_namespaces),
    ),
    Rule(
        id="K02",
        title="Containers are not privileged.",
        why="A privileged container is root on its node.",
        fix="set privileged to false",
        severity=Severity.HIGH,
        types=PODS,
        check=each(containers, _privileged),
    ),
    Rule(
        id="K03",
        title="Containers cannot gain privileges.",
        why="A setuid program would give an intruder more rights than the service has.",
        fix="set allowPrivilegeEscalation to false",
        severity=Severity.HIGH,
        types=PODS,
        check=each(containers, _escalation),
    ),
    Rule(
        id="K04",
        title="Containers drop every capability; they add NET_BIND_SERVICE at most.",
        why="Each capability is a part of root's rights.",
        fix="drop ALL, and add nothing but NET_BIND_SERVICE",
        severity=Severity.HIGH,
        types=PODS,
        check=each(containers, _capabilities),
    ),
    Rule(
        id="K05",
        title="Containers do not run as root.",
        why="Who breaks out of a container of root is root outside.",
        fix="set runAsNonRoot to true, and runAsUser to another than 0",
        severity=Severity.HIGH,
        types=PODS,
        check=each(containers, _non_root),
    ),
    Rule(
        id="K06",
        title="Containers run as a user that the host does not have.",
        why="Numbers below 10000 belong to accounts of the node.",
        fix=f"set runAsUser to {LOWEST_USER} or higher",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _high_user),
    ),
    Rule(
        id="K07",
        title="Containers run under a seccomp profile.",
        why="Without one every system call of the kernel is open to attack.",
        fix="set seccompProfile.type to RuntimeDefault, or to Localhost",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _seccomp),
    ),
    Rule(
        id="K08",
        title="The root file system is read-only.",
        why="An intruder who cannot write cannot install tools, nor change the program.",
        fix="set readOnlyRootFilesystem to true; mount an emptyDir or claim for what is written",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _read_only_root),
    ),
    Rule(
        id="K09",
        title="Volumes are of a safe type.",
        why="Other types, hostPath above all, give access to the node.",
        fix=f"use one of {', '.join(VOLUMES)}",
        severity=Severity.HIGH,
        types=PODS,
        check=each(_volumes, _volume_types),
    ),
    Rule(
        id="K10",
        title="No ports of the host, and no socket of the container runtime.",
        why="A host port goes round network policies; the socket is root on the node.",
        fix="remove it: publish through a Service and the gateway",
        severity=Severity.HIGH,
        types=PODS,
        check=_no_host_ports,
    ),
    Rule(
        id="K11",
        title="Default /proc mount, safe sysctls, no SELinux user or role.",
        why="Each of them weakens the isolation of the container.",
        fix="leave the default",
        severity=Severity.MEDIUM,
        types=PODS,
        check=_baseline_rest,
    ),
    Rule(
        id="K21",
        title="Namespaces enforce the restricted Pod Security Standard.",
        why="The API server then refuses an unsafe pod, wherever it comes from.",
        fix="set the label pod-security.kubernetes.io/enforce to restricted",
        severity=Severity.HIGH,
        types=("kubernetes:core/v1:Namespace",),
        check=_restricted,
        settings={"namespaces": names((), "Namespaces that need more, such as node exporters.")},
    ),
)
