"""Per layer a namespace, closed to everything but DNS, with a quota and default limits; and the
priorities of what runs there."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import LAYERS, place
from components.runtime.kubernetes import network, pods
from components.runtime.kubernetes.labels import namespace_labels
from components.runtime.kubernetes.settings import ClusterSettings
from components.sizing import SMALLEST, Size

PRIORITIES: Mapping[str, int] = {"stores": 1_000_000, "engines": 900_000, "jobs": 800_000}
QUOTA_FACTOR = 3  # updates run old and new pods at once, and limits allow twice the request


def priorities(runtime: str, parent: pulumi.Resource, stack: str) -> dict[str, pulumi.Output[str]]:
    """dict key of PRIORITIES -> name of its PriorityClass."""
    made = {
        kind: k8s.scheduling.v1.PriorityClass(
            f"{runtime}-priority-{kind}",
            metadata={"name": f"dataflow-{stack}-{kind}"},
            value=value,
            global_default=False,
            description=f"dataflow: {kind} of stack {stack}",
            opts=child_of(parent),
        )
        for kind, value in PRIORITIES.items()
    }
    return {kind: one.metadata["name"] for kind, one in made.items()}


def namespaces(
    runtime: str,
    parent: pulumi.Resource,
    settings: ClusterSettings,
    sizes: Mapping[str, Size],
    *,
    keep: bool,
) -> dict[str, k8s.core.v1.Namespace]:
    """dict layer -> its namespace."""
    return {
        layer: _namespace(runtime, parent, settings, layer, _quota(layer, sizes), keep)
        for layer in LAYERS
    }


def _namespace(
    runtime: str,
    parent: pulumi.Resource,
    settings: ClusterSettings,
    layer: str,
    quota: Mapping[str, str],
    keep: bool,
) -> k8s.core.v1.Namespace:
    named = settings.namespace(layer)
    namespace = k8s.core.v1.Namespace(
        f"{runtime}-namespace-{layer}",
        metadata={"name": named, "labels": namespace_labels(settings.stack)},
        # With a namespace everything in it goes, volumes among it.
        opts=child_of(parent, keep=keep),
    )

    def inside(part: str) -> dict[str, Any]:
        return {
            "resource_name": f"{runtime}-{layer}-{part}",
            "metadata": {"name": part, "namespace": named},
            "opts": child_of(namespace),
        }

    k8s.networking.v1.NetworkPolicy(**inside("deny-all"), spec=network.deny_all())
    k8s.networking.v1.NetworkPolicy(**inside("allow-dns"), spec=network.names())
    k8s.core.v1.ResourceQuota(**inside("quota"), spec={"hard": quota})
    k8s.core.v1.LimitRange(**inside("defaults"), spec={"limits": [_limits()]})
    return namespace


def _quota(layer: str, sizes: Mapping[str, Size]) -> dict[str, str]:
    """Room for every service of the layer and its jobs, and a stop for everything else."""
    here = [size for name, size in sizes.items() if place(name).layer == layer]
    cores = QUOTA_FACTOR * (2 + sum(size.cores * size.replicas for size in here))
    memory = QUOTA_FACTOR * (4096 + sum(size.memory_mib * size.replicas for size in here))
    return {
        "requests.cpu": f"{cores:g}",
        "requests.memory": f"{memory}Mi",
        "limits.cpu": f"{pods.CPU_BURST * cores:g}",
        "limits.memory": f"{memory}Mi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def _limits() -> dict[str, Any]:
    """Of a container that names none."""
    smallest = pods.resources(SMALLEST)
    return {
        "type": "Container",
        "defaultRequest": smallest["requests"],
        "default": smallest["limits"],
    }
