"""Services that no operator runs: a StatefulSet of those that keep data, a Deployment of others,
and the address by which they are reached."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.kubernetes import configuration, pods
from components.runtime.kubernetes.cluster import READY_TIMEOUT_S, Cluster
from components.runtime.service import Service

HPA_FACTOR = 3
HPA_CPU_PERCENT = 70


def declare(
    cluster: Cluster,
    service: Service,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> None:
    files = configuration.files(cluster, service, component)
    metadata = cluster.metadata(service.name, timeout_s=READY_TIMEOUT_S)
    spec = _spec(cluster, service)
    opts = child_of(component, depends_on=[*needs, *files])
    replicated = service.size.replicas > 1
    _address(cluster, service, component)
    if pods.keeps_data(service):
        _members_address(cluster, service, component)
        k8s.apps.v1.StatefulSet(
            f"{service.name}-pods",
            metadata=metadata,
            spec={**spec, **_stateful(cluster, service)},
            opts=opts,
        )
    else:
        if replicated:  # from then on the number is the autoscaler's
            opts = pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(ignore_changes=["spec.replicas"])
            )
            _autoscaler(cluster, service, component)
        k8s.apps.v1.Deployment(
            f"{service.name}-pods",
            metadata=metadata,
            spec={**spec, "strategy": _one_more()},
            opts=opts,
        )
    if replicated:
        _disruption_budget(cluster, service, component)


def _spec(cluster: Cluster, service: Service) -> dict[str, Any]:
    return {
        "selector": {"matchLabels": cluster.selector(service.name)},
        "template": pods.template(cluster, service),
        "replicas": service.size.replicas,
        "revisionHistoryLimit": 3,
    }


def _stateful(cluster: Cluster, service: Service) -> dict[str, Any]:
    claim = pods.claim(service.size.disk_gib, cluster.settings.storage_class)
    return {
        "serviceName": _members(service),
        # Replicas wait for each other: one after the other would never be ready.
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": "Retain" if cluster.keep_data else "Delete",
            "whenScaled": "Retain",
        },
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }


def _one_more() -> dict[str, Any]:
    """A new pod is ready before an old one goes."""
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def _autoscaler(cluster: Cluster, service: Service, component: pulumi.Resource) -> None:
    target = {"type": "Utilization", "averageUtilization": HPA_CPU_PERCENT}
    k8s.autoscaling.v2.HorizontalPodAutoscaler(
        f"{service.name}-autoscaler",
        metadata=cluster.metadata(service.name),
        spec={
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": service.name,
            },
            "minReplicas": service.size.replicas,
            "maxReplicas": HPA_FACTOR * service.size.replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
        opts=child_of(component),
    )


def _disruption_budget(cluster: Cluster, service: Service, component: pulumi.Resource) -> None:
    k8s.policy.v1.PodDisruptionBudget(
        f"{service.name}-disruptions",
        metadata=cluster.metadata(service.name),
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": cluster.selector(service.name)},
        },
        opts=child_of(component),
    )


def _address(cluster: Cluster, service: Service, component: pulumi.Resource) -> None:
    if service.ports:
        metadata = cluster.metadata(service.name)
        _network_service(cluster, service, component, metadata, {})


def _members_address(cluster: Cluster, service: Service, component: pulumi.Resource) -> None:
    """A name for each replica."""
    if service.ports:
        metadata = cluster.metadata(_members(service), of=service.name)
        # Else its pods would be found, and asked for metrics, twice.
        metadata["labels"] = {"dataflow/stack": cluster.settings.stack}
        # Replicas find each other before they are ready.
        headless = {"clusterIP": "None", "publishNotReadyAddresses": True}
        _network_service(cluster, service, component, metadata, headless)


def _members(service: Service) -> str:
    return f"{service.name}-members"


def _network_service(
    cluster: Cluster,
    service: Service,
    component: pulumi.Resource,
    metadata: dict[str, Any],
    more: dict[str, Any],
) -> None:
    # Its pods are waited for where they are declared. An address that waits for them as well
    # would take the engine's turn from them, and give up before a first start is over.
    notes = {"pulumi.com/skipAwait": "true"}
    k8s.core.v1.Service(
        f"{metadata['name']}-address",
        metadata={**metadata, "annotations": notes},
        spec={
            "type": "ClusterIP",
            "selector": cluster.selector(service.name),
            "ports": [
                {"name": label, "port": port, "targetPort": port}
                for label, port in service.ports.items()
            ],
            **more,
        },
        opts=child_of(component),
    )
