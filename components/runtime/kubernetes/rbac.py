"""Service accounts, and the few rights that they have: of most, none.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import LAYERS
from components.runtime.kubernetes.cluster import Cluster

LAUNCHER_RIGHTS = ("create", "delete", "get", "list", "patch", "watch")
FILLER_RIGHTS = ("get", "update")  # the secret is there, so nobody has to create any
DISCOVERY_RIGHTS = ("get", "list", "watch")


def account(cluster: Cluster, name: str, component: pulumi.Resource) -> pulumi.Resource:
    made: pulumi.Resource = k8s.core.v1.ServiceAccount(
        f"{name}-account",
        metadata=cluster.metadata(name),
        automount_service_account_token=False,
        opts=child_of(component),
    )
    return made


def launching(cluster: Cluster, service: str, component: pulumi.Resource) -> list[pulumi.Resource]:
    """A service may start pods in its own namespace."""
    return _own_rights(cluster, service, component, _rule(["pods"], LAUNCHER_RIGHTS))


def filling(
    cluster: Cluster, job: str, secret: str, component: pulumi.Resource
) -> list[pulumi.Resource]:
    """A job may write one secret of its namespace."""
    rule = {**_rule(["secrets"], FILLER_RIGHTS), "resourceNames": [secret]}
    return _own_rights(cluster, job, component, rule)


def discovering(
    cluster: Cluster, service: str, component: pulumi.Resource
) -> list[pulumi.Resource]:
    """Prometheus may see where the pods of each layer are, and nothing else."""
    rules = [
        _rule(["endpoints", "pods", "services"], DISCOVERY_RIGHTS),
        _rule(["endpointslices"], DISCOVERY_RIGHTS, group="discovery.k8s.io"),
    ]
    made: list[pulumi.Resource] = []
    for layer in LAYERS:
        name = f"{service}-discovery-{layer}"
        metadata = {"name": service, "namespace": cluster.settings.namespace(layer)}
        role = k8s.rbac.v1.Role(
            name,
            metadata=metadata,
            rules=rules,
            opts=child_of(component, depends_on=[cluster.namespaces[layer]]),
        )
        made.append(_binding(cluster, name, metadata, service, component, role))
    return made


def _rule(resources: Sequence[str], verbs: Sequence[str], *, group: str = "") -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _own_rights(
    cluster: Cluster, name: str, component: pulumi.Resource, rule: Mapping[str, Any]
) -> list[pulumi.Resource]:
    """What the account `name` may do in its namespace."""
    metadata = cluster.metadata(name)
    role = k8s.rbac.v1.Role(
        f"{name}-rights", metadata=metadata, rules=[rule], opts=child_of(component)
    )
    return [role, _binding(cluster, name, metadata, name, component, role)]


def _binding(
    cluster: Cluster,
    name: str,
    metadata: Mapping[str, Any],
    account: str,
    component: pulumi.Resource,
    role: pulumi.Resource,
) -> pulumi.Resource:
    """Gives the role that is called like the account to it."""
    namespace = cluster.settings.namespace_of(account)
    made: pulumi.Resource = k8s.rbac.v1.RoleBinding(
        f"{name}-binding",
        metadata=metadata,
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        opts=child_of(component, depends_on=[role]),
    )
    return made
