"""What all objects of a stack share, and the kinds of objects that many services need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import place
from components.runtime.containers import Containers
from components.runtime.kubernetes.labels import labels, selector
from components.runtime.kubernetes.settings import ClusterSettings
from components.runtime.service import Service

READY_TIMEOUT_S = 1800  # pulling an image of a gigabyte, and its first start

Kind = tuple[str, str]  # API version, kind


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """containers: what images and the stack's authority say of pods.
    namespaces: layer -> namespace. priorities: stores, engines, jobs -> name of a PriorityClass.
    keep_data: destroy leaves the volumes."""

    settings: ClusterSettings
    containers: Containers
    namespaces: Mapping[str, k8s.core.v1.Namespace]
    priorities: Mapping[str, pulumi.Output[str]]
    keep_data: bool

    def selector(self, name: str) -> dict[str, str]:
        return selector(self.settings.stack, name)

    def labels(self, name: str) -> dict[str, str]:
        return labels(self.settings.stack, name)

    def namespace_of(self, name: str) -> k8s.core.v1.Namespace:
        return self.namespaces[place(name).layer]

    def metadata(
        self, name: str, *, of: str = "", timeout_s: int = 0, wait_for: str = ""
    ) -> dict[str, Any]:
        """of: the service or job that it belongs to, unless that is its name. timeout_s,
        wait_for: how long an update takes at most, and the condition that ends it."""
        owner = of or name
        notes = {}
        if timeout_s:
            notes["pulumi.com/timeoutSeconds"] = str(timeout_s)
        if wait_for:
            notes["pulumi.com/waitFor"] = f"condition={wait_for}"
        return {
            "name": name,
            "namespace": self.namespace_of(owner).metadata["name"],
            "labels": self.labels(owner),
            **({"annotations": notes} if notes else {}),
        }


def secret(
    cluster: Cluster,
    component: pulumi.Resource,
    name: str,
    data: Mapping[str, pulumi.Input[str]],
    *,
    of: str,
    kind: str = "Opaque",
    more_labels: Mapping[str, str] | None = None,
) -> pulumi.Resource:
    metadata = cluster.metadata(name, of=of)
    metadata["labels"] |= more_labels or {}
    made: pulumi.Resource = k8s.core.v1.Secret(
        name,
        metadata=metadata,
        type=kind,
        string_data=dict(data) or None,  # one that others fill claims nothing
        opts=child_of(component),
    )
    return made


def archive_name(service: Service) -> str:
    """What tells a service of its archive: a Secret, and what its operator asks for beside it."""
    return f"{service.name}-archive"


@dataclass(frozen=True, kw_only=True)
class CustomObject:
    """part: suffix of its resource's name. wait_for: the condition that says it is ready.
    holds_data: data goes with it."""

    kind: Kind
    name: str
    spec: Mapping[str, Any]
    part: str = "cluster"
    wait_for: str = ""
    holds_data: bool = False


def custom_object(
    cluster: Cluster,
    component: pulumi.Resource,
    service: str,
    one: CustomObject,
    needs: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    version, kind = one.kind
    made: pulumi.Resource = k8s.apiextensions.CustomResource(
        f"{service}-{one.part}",
        api_version=version,
        kind=kind,
        metadata=cluster.metadata(
            one.name, of=service, timeout_s=READY_TIMEOUT_S, wait_for=one.wait_for
        ),
        spec=one.spec,
        opts=child_of(component, depends_on=needs, keep=cluster.keep_data and one.holds_data),
    )
    return made
