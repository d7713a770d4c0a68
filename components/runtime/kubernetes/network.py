"""Who may talk to whom: nobody, then names, then the edges of the data flow."""

from collections.abc import Iterable
from typing import Any

from components.runtime.kubernetes.pods import selector

NAMESPACE_LABEL = "kubernetes.io/metadata.name"  # set by the API server on every namespace
# The metadata service of clouds hands out credentials of the machine.
CLOUD_METADATA = "169.254.169.254/32"
ANYWHERE = "0.0.0.0/0"


def deny_all() -> dict[str, Any]:
    return {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def names() -> dict[str, Any]:
    """Every pod may ask the cluster's DNS."""
    return {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")],
            }
        ],
    }


def pods_of(stack: str, name: str, namespace: str) -> dict[str, Any]:
    """The pods of one service, in its namespace."""
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}},
        "podSelector": {"matchLabels": selector(stack, name)},
    }


def all_of(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}}}


def ports_of(ports: Iterable[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in sorted(ports)]


def outside() -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": ANYWHERE, "except": [CLOUD_METADATA]}}]}
