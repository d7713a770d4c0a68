"""Who may talk to whom: nobody, then names, then the edges of the data flow.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import place
from components.runtime.kubernetes.addresses import HTTPS_PORT, address_of
from components.runtime.kubernetes.cluster import Cluster
from components.runtime.service import GATEWAY, Job, Launched, Service

NAMESPACE_LABEL = "kubernetes.io/metadata.name"  # set by the API server on every namespace
# The metadata service of clouds hands out credentials of the machine.
CLOUD_METADATA = "169.254.169.254/32"
ANYWHERE = "0.0.0.0/0"
API_PORTS = (443, 6443)
# Their pods work with the API server: a failover, finding targets.
WORKS_WITH_API = frozenset({"postgresql", "prometheus"})
OPERATOR_PORTS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    # program -> namespace of its operator, the ports of its pods that it calls
    "postgresql": ("cnpg-system", (5432, 8000)),
    "elasticsearch": ("elastic-system", (9200,)),
}

Program = Service | Job | Launched
Rules = dict[str, Any]


def deny_all() -> Rules:
    return {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def names() -> Rules:
    """Every pod may ask the cluster's DNS."""
    return {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [
                    {
                        **all_of("kube-system"),
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")],
            }
        ],
    }


def all_of(namespace: str) -> Rules:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}}}


def ports_of(ports: Iterable[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in sorted(ports)]


def ingress(rule: Rules) -> Rules:
    return {"ingress": [rule], "policyTypes": ["Ingress"]}


def edges(cluster: Cluster, program: Program, component: pulumi.Resource) -> list[pulumi.Resource]:
    """A policy at both ends of each connection, and the exits that a program needs."""
    made = [
        _policy(cluster, f"{other}-from-{program.name}", other, ingress(rule), component)
        for other, rule in _ways_in(cluster, program)
    ]
    if out := list(_ways_out(cluster, program)):
        rules = {"egress": out, "policyTypes": ["Egress"]}
        made.append(_policy(cluster, f"{program.name}-to-others", program.name, rules, component))
    if isinstance(program, Service) and program.program in OPERATOR_PORTS:
        namespace, numbers = OPERATOR_PORTS[program.program]
        rules = ingress({"from": [all_of(namespace)], "ports": ports_of(numbers)})
        name = f"{program.name}-from-operator"
        made.append(_policy(cluster, name, program.name, rules, component))
    return made


def _ways_in(cluster: Cluster, program: Program) -> Iterator[tuple[str, Rules]]:
    """(service that the program calls, rule by which it lets the program in)."""
    came_from = _pods(cluster, program.name)
    for other in program.connects_to:
        if other != GATEWAY and other not in cluster.settings.outside:
            yield other, {"from": [came_from], "ports": _open_ports(program.name, other)}


def _ways_out(cluster: Cluster, program: Program) -> Iterator[Rules]:
    settings = cluster.settings
    for other in program.connects_to:
        if other == GATEWAY:  # like somebody from outside
            yield {"to": [all_of(settings.namespace(GATEWAY))], "ports": ports_of([HTTPS_PORT])}
        elif there := settings.outside.get(other):
            ports = ports_of([address_of(there.url).port])
            yield {"to": [{"ipBlock": {"cidr": there.network}}], "ports": ports}
        else:
            yield {"to": [_pods(cluster, other)], "ports": _open_ports(program.name, other)}
    if program.reaches_outside:
        yield {"to": [{"ipBlock": {"cidr": ANYWHERE, "except": [CLOUD_METADATA]}}]}
    if _works_with_api(program):
        api = {"ipBlock": {"cidr": settings.api_server}}
        yield {"to": [api], "ports": ports_of(API_PORTS)}


def _works_with_api(program: Program) -> bool:
    if isinstance(program, Job):
        return bool(program.fills)
    if isinstance(program, Service):
        return program.program in WORKS_WITH_API or program.launches is not None
    return False


def _open_ports(one: str, other: str) -> list[dict[str, Any]]:
    """The ports that `one` may use of `other`; those of peers too within a product."""
    there = place(other)
    ports = {number for label, number in there.ports.items() if label not in there.inner}
    if one.partition("-")[0] == other.partition("-")[0]:
        ports |= set(there.peers)
    return ports_of(ports)


def _pods(cluster: Cluster, name: str) -> Rules:
    """Of one service, in its namespace."""
    namespace = all_of(cluster.settings.namespace_of(name))
    return {**namespace, "podSelector": {"matchLabels": cluster.selector(name)}}


def _policy(
    cluster: Cluster, name: str, applies_to: str, rules: Rules, component: pulumi.Resource
) -> pulumi.Resource:
    made: pulumi.Resource = k8s.networking.v1.NetworkPolicy(
        f"{name}-policy",
        metadata=cluster.metadata(name, of=applies_to),
        spec={"podSelector": {"matchLabels": cluster.selector(applies_to)}, **rules},
        opts=child_of(component),
    )
    return made
