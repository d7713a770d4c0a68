"""Rules on Kubernetes objects, as pulumi-kubernetes writes them.

K01 to K11 and K21 follow the Pod Security Standards, baseline and restricted.
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Setting,
    Severity,
    Stack,
    each,
    each_of,
    matches,
    names,
    offence,
    violation,
)
from policies.reading import (
    BATCH,
    CONFIG_MAP,
    PODS,
    WORKLOADS,
    Container,
    Pod,
    arguments,
    containers,
    holds_credential,
    images,
    is_runtime_socket,
    names_credential,
    pod,
    pods,
)
from policies.values import Node

SERVICE = "kubernetes:core/v1:Service"
NETWORK_POLICY = "kubernetes:networking.k8s.io/*:NetworkPolicy"
GATEWAY = "kubernetes:gateway.networking.k8s.io/*:Gateway"
HTTP_ROUTE = "kubernetes:gateway.networking.k8s.io/*:HTTPRoute"
DISRUPTION_BUDGET = "kubernetes:policy/*:PodDisruptionBudget"
STORAGE_CLASS = "kubernetes:storage.k8s.io/*:StorageClass"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
ROLES = (
    "kubernetes:rbac.authorization.k8s.io/*:Role",
    "kubernetes:rbac.authorization.k8s.io/*:ClusterRole",
)
BINDINGS = (
    "kubernetes:rbac.authorization.k8s.io/*:RoleBinding",
    "kubernetes:rbac.authorization.k8s.io/*:ClusterRoleBinding",
)
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
REGISTRIES = ("docker.elastic.co", "docker.io", "ghcr.io", "quay.io", "registry.k8s.io")
FORBIDDEN = (
    "docker.io/bitnami/*",
    "docker.io/bitnamilegacy/*",
    "docker.io/minio/*",
    "*/ingress-nginx/*",
)
LOWEST_USER = 10_000  # below are accounts of the host: an escape would land in one of them
DNS_PORT = 53


def reference(image: str) -> str:
    """An image with its registry: `nginx` is docker.io/library/nginx."""
    first, slash, _rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        full = image
    else:
        full = "docker.io/" + (image if slash else f"library/{image}")
    return full.replace("index.docker.io/", "docker.io/", 1)


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


def pinned(image: Node, context: Context) -> Found:
    """By digest, from a registry that is allowed."""
    if not image.text.startswith("sha256:"):
        if "@sha256:" not in image.text:
            yield violation(image, "no digest")
        registry = reference(image.text).partition("/")[0]
        if registry not in context.settings["registries"]:
            yield violation(image, f"registry {registry}")


def _forbidden(image: Node, context: Context) -> Found:
    if matches(reference(image.text), context.settings["images"]):
        yield violation(image)


def _resources(container: Container, _context: Context) -> Found:
    given = container.node["resources"]
    for path in ("requests.cpu", "requests.memory", "limits.memory", "limits.ephemeral-storage"):
        if given[path].missing:
            yield violation(given[path])


def _probes(container: Container, context: Context) -> Found:
    if container.init:
        return
    live, ready, start = (
        container.node[f"{kind}Probe"] for kind in ("liveness", "readiness", "startup")
    )
    for probe in (live, ready):
        if probe.missing:
            yield violation(probe)
    if not live.missing and live.value == ready.value:
        yield violation(live, "the same as the readiness probe: a busy service would be restarted")
    slow = any(part in container.node["image"].text for part in context.settings["slow"])
    if slow and start.missing:
        yield violation(start)
    for probe in (live, ready, start):
        if not probe["httpGet"].missing and (scheme := probe["httpGet.scheme"]).text != "HTTPS":
            yield violation(scheme)


def _no_token(resource: Resource, context: Context) -> Found:
    if resource.props["metadata.name"].text in context.settings["allowed"]:
        return
    where = resource.props if resource.kind == "ServiceAccount" else pod(resource).spec
    if not (node := where["automountServiceAccountToken"]).off:
        yield violation(node)


def _own_account(pod: Pod, _context: Context) -> Found:
    if (account := pod.spec["serviceAccountName"]).text in ("", "default"):
        yield violation(account)


def _rules(resource: Resource) -> Iterator[Node]:
    yield from resource.props["rules"]


def _wildcards(rule: Node, _context: Context) -> Found:
    for key in ("verbs", "resources", "apiGroups"):
        if "*" in rule[key].texts():
            yield violation(rule[key])


def _strong_rights(rule: Node, _context: Context) -> Found:
    resources, verbs = rule["resources"].texts(), rule["verbs"].texts()
    if {"pods/exec", "pods/attach"} & set(resources):
        yield violation(rule["resources"])
    if {"bind", "escalate", "impersonate"} & set(verbs):
        yield violation(rule["verbs"])
    if "secrets" in resources and rule["resourceNames"].missing:
        yield violation(rule["resourceNames"], "of secrets")


def _admin_binding(resource: Resource, _context: Context) -> Found:
    if (name := resource.props["roleRef.name"]).text == "cluster-admin":
        yield violation(name)


def _restricted(resource: Resource, context: Context) -> Found:
    if resource.props["metadata.name"].text in context.settings["namespaces"]:
        return
    label = resource.props["metadata.labels"].member("pod-security.kubernetes.io/enforce")
    if label.text != "restricted":
        yield violation(label)


def _selected(selector: Node, labels: Node) -> bool:
    """Whether a label selector takes in an object with these labels; an empty one takes all."""
    wanted = {key: value.text for key, value in selector["matchLabels"].items()}
    if any(labels.member(key).text != value for key, value in wanted.items()):
        return False
    for expression in selector["matchExpressions"]:
        value, values = labels.member(expression["key"].text), expression["values"].texts()
        holds = {
            "In": value.text in values,
            "NotIn": value.text not in values,
            "Exists": value.value is not None,
            "DoesNotExist": value.value is None,
        }
        if not holds.get(expression["operator"].text, False):
            return False
    return True


def _namespace(resource: Resource) -> str:
    return resource.props["metadata.namespace"].text or "default"


def _isolated(resource: Resource, stack: Stack, _context: Context) -> Found:
    """Each pod is under a policy, and its namespace denies what nothing allows."""
    space, labels = _namespace(resource), pod(resource).meta["labels"]
    policies = [one for one in stack.of(NETWORK_POLICY) if _namespace(one) == space]
    chosen = [one for one in policies if _selected(one.props["spec.podSelector"], labels)]
    if not chosen:
        yield violation(labels, "no NetworkPolicy selects these pods", resource)
    for direction in ("Ingress", "Egress"):
        if not any(_denies(one, direction) for one in policies):
            yield violation(
                resource.props["metadata.namespace"],
                f"{direction}: not denied by default",
                resource,
            )


def _denies(policy: Resource, direction: str) -> bool:
    spec = policy.props["spec"]
    selector = spec["podSelector"]
    everything = selector["matchLabels"].missing and selector["matchExpressions"].missing
    allowed = spec[direction.lower()]
    return everything and direction in spec["policyTypes"].texts() and allowed.missing


def _egress(resource: Resource) -> Iterator[Node]:
    yield from resource.props["spec.egress"]


def _egress_edges(edge: Node, context: Context) -> Found:
    ports = [port["port"].number for port in edge["ports"]]
    if edge["to"].missing and ports and all(port == DNS_PORT for port in ports):
        return
    if edge["to"].missing:
        yield violation(edge["to"], "every one is allowed")
    # Pods that are named guard their own ports, by policies on what comes in.
    elif edge["ports"].missing and not all(_names_pods(peer) for peer in edge["to"]):
        yield violation(edge["ports"], "every one is allowed")
    for peer in edge["to"]:
        block = peer["ipBlock.cidr"]
        if block.text in ("0.0.0.0/0", "::/0"):
            yield violation(block)
        if block.missing and all(
            peer[f"{kind}Selector"][labels].missing
            for kind in ("pod", "namespace")
            for labels in ("matchLabels", "matchExpressions")
        ):
            yield violation(peer, "every pod is allowed")


def _flow_edges(resource: Resource, context: Context) -> Found:
    """Edges between services that are known by name, against those of the flow."""
    source = _service_of(resource.props["spec.podSelector"])
    allowed = {*EDGES.get(source.text, ()), *context.settings["edges"].get(source.text, ())}
    for edge in _egress(resource):
        for peer in edge["to"]:
            target = _service_of(peer["podSelector"])
            if _product(source.text) == _product(target.text) or target.text in allowed:
                continue
            if source.text and target.text:
                detail = f"{source.shown()} does not need {target.shown()}"
                yield violation(peer["podSelector"], detail)


def _service_of(selector: Node) -> Node:
    """The label by which a selector of pods names a service; one without text in another."""
    labels = [selector["matchLabels"].member(key) for key in SERVICE_LABELS]
    return next((label for label in labels if label.text), labels[0])


def _product(service: str) -> str:
    return service.partition("-")[0]


def _edges(resource: Resource, context: Context) -> Found:
    yield from each(_egress, _egress_edges)(resource, context)
    yield from _flow_edges(resource, context)


def _names_pods(peer: Node) -> bool:
    return not (
        peer["podSelector.matchLabels"].missing and peer["podSelector.matchExpressions"].missing
    )


def _service_type(resource: Resource, context: Context) -> Found:
    kind = resource.props["spec.type"]
    if kind.text not in ("NodePort", "LoadBalancer"):
        return
    if resource.props["metadata.name"].text not in context.settings["gateways"]:
        yield violation(kind)


def _listeners(resource: Resource, stack: Stack, _context: Context) -> Found:
    for listener in resource.props["spec.listeners"]:
        if listener["protocol"].text in ("HTTPS", "TLS"):
            mode = listener["tls.mode"].text
            if mode != "Passthrough" and (refs := listener["tls.certificateRefs"]).missing:
                yield violation(refs, of=resource)
        elif not _only_redirects(resource, listener, stack):
            yield violation(listener["protocol"], "serves more than redirects", resource)


def _only_redirects(gateway: Resource, listener: Node, stack: Stack) -> bool:
    name, section = gateway.props["metadata.name"].text, listener["name"].text
    redirected = False
    for route in stack.of(HTTP_ROUTE):
        parents = [
            parent
            for parent in route.props["spec.parentRefs"]
            if parent["name"].text == name and parent["sectionName"].text in ("", section)
        ]
        rules = list(route.props["spec.rules"])
        if parents and not all(_redirects(rule) for rule in rules):
            return False
        redirected |= bool(parents)
    return redirected and listener["protocol"].text == "HTTP"


def _redirects(rule: Node) -> bool:
    return any(
        one["type"].text == "RequestRedirect" and one["requestRedirect.scheme"].text == "https"
        for one in rule["filters"]
    )


def _secret_variables(container: Container, context: Context) -> Found:
    for entry in container.node["env"]:
        if entry["name"].text in context.settings["variables"]:
            continue
        if not entry["valueFrom.secretKeyRef"].missing:
            yield violation(entry["name"])
    for source in container.node["envFrom"]:
        if not (found := source["secretRef"]).missing:
            yield violation(found["name"])


def _clear_credentials(resource: Resource, _context: Context) -> Found:
    """The offending text is left out on purpose: it holds a credential."""
    for key in ("data", "metadata.annotations"):
        for name, value in resource.props[key].items():
            if value.known and (
                holds_credential(value.text) or (names_credential(name) and not value.missing)
            ):
                yield offence(value.path, "holds a credential")
    if resource.type != CONFIG_MAP:
        meta = pod(resource).meta["annotations"]
        words = [*arguments(resource), *(value for _, value in meta.items())]
        for word in words:
            if word.known and holds_credential(word.text):
                yield offence(word.path, "holds a credential")


def _replicated(resource: Resource, stack: Stack, context: Context) -> Found:
    name = resource.props["metadata.name"].text
    if name in context.settings["single"]:
        return
    least = context.settings["quorum"].get(name, 2)
    replicas = resource.props["spec.replicas"]
    if (replicas.number or 1) < least:
        yield violation(replicas, f"expected {least} or more", resource)
    template = pod(resource)
    budgets = [
        one
        for one in stack.of(DISRUPTION_BUDGET)
        if _namespace(one) == _namespace(resource)
        and _selected(one.props["spec.selector"], template.meta["labels"])
    ]
    if not budgets:
        yield violation(template.meta["labels"], "no PodDisruptionBudget selects them", resource)
    spread = template.spec["topologySpreadConstraints"]
    if spread.missing and template.spec["affinity.podAntiAffinity"].missing:
        yield violation(spread, of=resource)


def _storage(resource: Resource, stack: Stack, context: Context) -> Found:
    claims = [resource.props["spec"]]
    if resource.kind == "StatefulSet":
        claims = [one["spec"] for one in resource.props["spec.volumeClaimTemplates"]]
    classes = {one.props["metadata.name"].text: one.props for one in stack.of(STORAGE_CLASS)}
    for claim in claims:
        name = claim["storageClassName"]
        if name.text in context.settings["classes"]:
            continue
        if name.text not in classes:
            yield violation(name, "not known to be encrypted and to keep its volumes", resource)
            continue
        found = classes[name.text]
        if not found["parameters.encrypted"].on:
            yield violation(name, "its StorageClass does not encrypt", resource)
        if found["reclaimPolicy"].text != "Retain":
            yield violation(name, "its StorageClass deletes volumes", resource)


def _bounded_job(resource: Resource, _context: Context) -> Found:
    job = resource.props["spec"]
    if resource.kind == "CronJob":
        if (overlap := job["concurrencyPolicy"]).text not in ("Forbid", "Replace"):
            yield violation(overlap)
        job = job["jobTemplate.spec"]
    for key in ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if job[key].value is None:
            yield violation(job[key])


_EDGES = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}
# Who calls whom: specification, "Architecture"; the pipeline runs its data flow and watches it.
EDGES: Mapping[str, tuple[str, ...]] = {
    "airbyte": ("elasticsearch", "minio", "postgres"),
    "airbyte-bootloader": ("postgres",),
    "airbyte-connector": ("postgres",),
    "airbyte-cron": ("postgres",),
    "airbyte-temporal": ("postgres",),
    "airbyte-temporal-schema": ("postgres",),
    "airbyte-worker": ("minio", "postgres"),
    "airbyte-workload-api": ("minio", "postgres"),
    "dbt-build": ("airbyte", "dremio", "postgres", "superset"),
    "dremio": ("elasticsearch", "minio", "postgres", "zookeeper"),
    "dremio-executor": ("elasticsearch", "minio", "postgres", "zookeeper"),
    "lake-backup": ("minio",),
    "lake-recovery": ("minio",),
    "pipeline": (
        *("airbyte", "dremio", "elasticsearch", "minio", "postgres", "prometheus", "superset"),
    ),
    "postgres": ("minio",),  # its archive
    "prometheus": (
        *("airbyte", "dremio", "elasticsearch", "minio", "pipeline", "postgres", "superset"),
    ),
    "shop-seed": ("postgres",),
    "superset": ("dremio", "postgres"),
    "superset-beat": ("dremio", "postgres"),
    "superset-worker": ("dremio", "postgres"),
}
SERVICE_LABELS = ("dataflow/service", "app.kubernetes.io/name", "app")
_QUORUM: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}

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
        id="K12",
        title="Images are pinned by digest and come from an allowed registry.",
        why="A tag can be moved to another image after the review.",
        fix="write registry/name:tag@sha256:digest, from an allowed registry",
        severity=Severity.HIGH,
        types=PODS,
        check=each(images, pinned),
        settings={"registries": names(REGISTRIES, "Registries that images may come from.")},
    ),
    Rule(
        id="K13",
        title="No image that nobody maintains.",
        why="Images without a maintainer get no security fixes.",
        fix="use a maintained image",
        severity=Severity.HIGH,
        types=(*PODS, "docker:index/container:Container", "docker:index/remoteImage:RemoteImage"),
        check=each(images, _forbidden),
        settings={"images": names(FORBIDDEN, "Full names; `*` stands for anything.")},
    ),
    Rule(
        id="K14",
        title="Containers have requests and limits.",
        why="Without them one service takes the memory or disk of all others of its node.",
        fix="set requests of cpu and memory, limits of memory and ephemeral-storage",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _resources),
    ),
    Rule(
        id="K15",
        title="Containers have liveness and readiness probes that differ, over TLS.",
        why="Without them a hung service gets requests; equal ones restart one for being busy.",
        fix="set livenessProbe and readinessProbe, a startupProbe for slow starters, scheme HTTPS",
        severity=Severity.MEDIUM,
        types=WORKLOADS,
        check=each(containers, _probes),
        settings={
            "slow": names(
                ("airbyte", "dremio", "elasticsearch"),
                "Parts of images whose start takes long: they need a startupProbe.",
            )
        },
    ),
    Rule(
        id="K16",
        title="Pods get no token of the Kubernetes API.",
        why="An intruder would use it to go on from there.",
        fix="set automountServiceAccountToken to false",
        severity=Severity.MEDIUM,
        types=(*PODS, "kubernetes:core/v1:ServiceAccount"),
        check=_no_token,
        settings={"allowed": names((), "Names of objects that call the Kubernetes API.")},
    ),
    Rule(
        id="K17",
        title="Each workload has a service account of its own.",
        why="Rights that one needs would go to all that share the default account.",
        fix="set serviceAccountName",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(pods, _own_account),
    ),
    Rule(
        id="K18",
        title="Roles have no wildcards.",
        why="A wildcard grants what is installed later too.",
        fix="list verbs, resources and API groups",
        severity=Severity.HIGH,
        types=ROLES,
        check=each(_rules, _wildcards),
    ),
    Rule(
        id="K19",
        title="Roles cannot enter pods, raise themselves, or read all secrets.",
        why="Each of these rights leads to every other right.",
        fix="remove it; name the secrets in resourceNames",
        severity=Severity.HIGH,
        types=ROLES,
        check=each(_rules, _strong_rights),
    ),
    Rule(
        id="K20",
        title="Nobody is bound to cluster-admin.",
        why="It is root of the cluster.",
        fix="bind a role with the rights that are needed",
        severity=Severity.HIGH,
        types=BINDINGS,
        check=_admin_binding,
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
    Rule(
        id="K22",
        title="Every pod is under a NetworkPolicy, and its namespace denies by default.",
        why="A pod that no policy selects reaches and is reached by all others.",
        fix="add a policy that denies ingress and egress to all pods, and one for these pods",
        severity=Severity.HIGH,
        stack=each_of(*PODS, check=_isolated),
    ),
    Rule(
        id="K23",
        title="Egress follows the edges of the flow: pods, or addresses with ports.",
        why="Data leaves through a connection that the flow does not need.",
        fix="name the pods and the ports that the flow needs; DNS may go anywhere",
        severity=Severity.HIGH,
        types=(NETWORK_POLICY,),
        check=_edges,
        settings={
            "edges": Setting(
                default={},
                schema=_EDGES,
                text="Service -> others that it may call too.",
            )
        },
    ),
    Rule(
        id="K24",
        title="Only the gateway is reachable from outside the cluster.",
        why="A NodePort or LoadBalancer goes round the gateway's TLS and access log.",
        fix="use ClusterIP and a route of the gateway",
        severity=Severity.HIGH,
        types=(SERVICE,),
        check=_service_type,
        settings={"gateways": names((), "Names of Services of the gateway.")},
    ),
    Rule(
        id="K25",
        title="The gateway speaks TLS; plain HTTP only redirects.",
        why="Passwords and data would cross the network in clear.",
        fix="use protocol HTTPS with certificateRefs, and redirect HTTP to https",
        severity=Severity.HIGH,
        stack=each_of(GATEWAY, check=_listeners),
    ),
    Rule(
        id="K26",
        title="Secrets are mounted as files, not set as variables.",
        why="Variables are inherited by child processes and shown in crash reports.",
        fix="mount the Secret as a volume",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _secret_variables),
        settings={"variables": names((), "Variables of products that read no file.")},
    ),
    Rule(
        id="K27",
        title="No credential in ConfigMaps, arguments or annotations.",
        why="All of them can be read by whoever may list the objects.",
        fix="put it into a Secret",
        severity=Severity.HIGH,
        types=(*PODS, CONFIG_MAP),
        check=_clear_credentials,
    ),
    Rule(
        id="K28",
        title="Workloads survive the loss of a node.",
        why="A drained or broken node takes the only replica with it.",
        fix="run 2 replicas or more (3 for a quorum), with a PodDisruptionBudget and spread",
        severity=Severity.MEDIUM,
        stack=each_of(
            "kubernetes:apps/*:Deployment", "kubernetes:apps/*:StatefulSet", check=_replicated
        ),
        settings={
            "single": names((), "Workloads that cannot have a second replica."),
            "quorum": Setting(
                default={"elasticsearch": 3, "minio": 4, "zookeeper": 3},
                schema=_QUORUM,
                text="Workload -> least number of replicas, where it is not 2.",
            ),
        },
    ),
    Rule(
        id="K29",
        title="Claims use storage that is encrypted and kept.",
        why="A deleted claim deletes the data; a lost disk discloses it.",
        fix="use a StorageClass with encrypted volumes and reclaimPolicy Retain",
        severity=Severity.MEDIUM,
        stack=each_of(CLAIM, "kubernetes:apps/*:StatefulSet", check=_storage),
        settings={"classes": names((), "Classes of the cluster that are so.")},
    ),
    Rule(
        id="K30",
        title="Jobs are bounded.",
        why="A job that fails for ever, never ends, or starts beside itself, fills the cluster.",
        fix="set backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished; Forbid overlaps",
        severity=Severity.LOW,
        types=BATCH,
        check=_bounded_job,
    ),
)
