"""K22 to K25: who reaches whom, and the way in from outside."""

from collections.abc import Iterator, Mapping

from policies.kubernetes.selectors import namespace_of, selected
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
    names,
    violation,
)
from policies.reading import PODS, pod
from policies.values import Node

SERVICE = "kubernetes:core/v1:Service"
NETWORK_POLICY = "kubernetes:networking.k8s.io/*:NetworkPolicy"
GATEWAY = "kubernetes:gateway.networking.k8s.io/*:Gateway"
HTTP_ROUTE = "kubernetes:gateway.networking.k8s.io/*:HTTPRoute"
DNS_PORT = 53
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


def _isolated(resource: Resource, stack: Stack, _context: Context) -> Found:
    """Each pod is under a policy, and its namespace denies what nothing allows."""
    space, labels = namespace_of(resource), pod(resource).meta["labels"]
    policies = [one for one in stack.of(NETWORK_POLICY) if namespace_of(one) == space]
    chosen = [one for one in policies if selected(one.props["spec.podSelector"], labels)]
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


RULES = (
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
)
