"""Cases of the contract suite for kinds of Kubernetes, in the namespace `default`."""

import base64
from collections.abc import Callable
from typing import Any

from dynamic_providers.handler import Props
from tests.plugins.contract import Case

NAMESPACE = "default"
HAND = {"fieldManager": "by-hand"}
MERGE = {"Content-Type": "application/merge-patch+json"}


def _edit(path: str, body: Props) -> Callable[[Any, str], None]:
    """By hand, as `kubectl edit` does it."""

    def edit(client: Any, id_: str) -> None:
        name = id_.rpartition("/")[2]
        assert client.api.send("PATCH", f"{path}/{name}", body, params=HAND, headers=MERGE)

    return edit


def metadata(**more: Any) -> Props:
    return {"name": "contract", "namespace": NAMESPACE, **more}


def pod(image: str = "registry.test/web:1", **more: Any) -> Props:
    """A template, or the spec of a pod."""
    container = {
        "name": "web",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": 0.1, "memory": "1024Mi"}},  # 100m and 1Gi to the API
        "env": [{"name": "A", "value": "1"}],
    }
    return {"containers": [container], **more}


def template(image: str = "registry.test/web:1", **more: Any) -> Props:
    return {"metadata": {"labels": {"app": "contract"}}, "spec": pod(image, **more)}


SELECTOR = {"matchLabels": {"app": "contract"}}
IMAGE = "spec.template.spec.containers[0].image"
IMPORTED = frozenset({"spec", "metadata"})  # with the API's defaults


def workload(kind: str, spec: Props) -> Case:
    """Changed by its image, edited by an environment variable."""
    variable = {"name": "web", "env": [{"name": "A", "value": "2"}]}
    plural = f"{kind.lower()}s"
    return Case(
        raw={"metadata": metadata(), "spec": spec | {"template": template()}},
        change={"spec": spec | {"template": template("registry.test/web:2")}},
        changed={IMAGE},
        drift=_strategic(f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}", variable),
        drifted={"spec.template.spec.containers[0].env[0].value"},
        imports=IMPORTED,
    )


def _strategic(path: str, container: Props) -> Callable[[Any, str], None]:
    def edit(client: Any, id_: str) -> None:
        name = id_.rpartition("/")[2]
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        kind = {"Content-Type": "application/strategic-merge-patch+json"}
        assert client.api.send("PATCH", f"{path}/{name}", body, params=HAND, headers=kind)

    return edit


def _core(plural: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/{plural}"


def by_label(path: str, raw: Props) -> Case:
    """For kinds that change in little else: a label, edited by hand."""
    raw = raw | {"metadata": raw["metadata"] | {"labels": {"tier": "silver"}}}
    return Case(
        raw=raw,
        change={"metadata": raw["metadata"] | {"labels": {"tier": "gold"}}},
        changed={"metadata.labels.tier"},
        drift=_edit(path, {"metadata": {"labels": {"tier": "lead", "by": "hand"}}}),
        drifted={"metadata.labels.tier"},
        imports=IMPORTED,
    )


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def definition(group: str, kind: str, version: str = "v1", *, namespaced: bool = True) -> Props:
    """The least definition of a kind: anything is allowed in it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.lower()}s.{group}",
            # Without it the API takes no kinds of the project's own groups.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": kind, "plural": f"{kind.lower()}s"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


CRD = definition("contract.test", "Lake")
KUBERNETES_CASES: dict[str, Case] = {
    "kubernetes:apps/v1:Deployment": workload("Deployment", {"selector": SELECTOR}),
    "kubernetes:apps/v1:DaemonSet": workload("DaemonSet", {"selector": SELECTOR}),
    "kubernetes:apps/v1:StatefulSet": workload(
        "StatefulSet",
        {
            "selector": SELECTOR,
            "serviceName": "contract",
            "replicas": 2,
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1024Mi"}},
                    },
                }
            ],
        },
    ),
    "kubernetes:apps/v1:ReplicaSet": workload("ReplicaSet", {"selector": SELECTOR}),
    "kubernetes:batch/v1:Job": by_label(
        f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
        {
            "metadata": metadata(),
            "spec": {"template": {"spec": pod(restartPolicy="Never")}, "backoffLimit": 0},
        },
    ),
    "kubernetes:core/v1:Pod": by_label(_core("pods"), {"metadata": metadata(), "spec": pod()}),
    "kubernetes:core/v1:Namespace": by_label(
        "/api/v1/namespaces", {"metadata": {"name": "contract"}}
    ),
    "kubernetes:core/v1:PersistentVolumeClaim": by_label(
        _core("persistentvolumeclaims"),
        {
            "metadata": metadata(),
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1024Mi"}},
            },
        },
    ),
    "kubernetes:core/v1:ConfigMap": Case(
        raw={"metadata": metadata(), "data": {"a": "1", "b": "2"}},
        change={"data": {"a": "3"}},
        changed={"data.a", "data.b"},
        drift=_edit(_core("configmaps"), {"data": {"a": "4", "c": "5"}}),
        drifted={"data.a"},
    ),
    "kubernetes:core/v1:Secret": Case(
        raw={
            "metadata": metadata(),
            "stringData": {"password": "first", "user": "u"},
            "data": {"key": coded("k")},
            "type": "Opaque",
        },
        change={"stringData": {"password": "second"}},
        changed={"stringData.password", "stringData.user"},
        drift=_edit(_core("secrets"), {"data": {"password": coded("by hand"), "x": coded("y")}}),
        drifted={"stringData.password"},
    ),
    "kubernetes:core/v1:Service": Case(
        raw={
            "metadata": metadata(),
            "spec": {
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
                "clusterIP": "None",
                "selector": {"app": "contract"},
            },
        },
        change={
            "spec": {
                "ports": [
                    {"name": "http", "port": 80, "targetPort": 8080},
                    {"name": "udp", "port": 80, "protocol": "UDP"},
                ],
                "clusterIP": "None",
                "selector": {"app": "contract"},
            },
        },
        changed={"spec.ports[1]"},
        drift=_edit(_core("services"), {"spec": {"selector": {"app": "other"}}}),
        drifted={"spec.selector.app"},
        imports=IMPORTED,
    ),
    "kubernetes:networking.k8s.io/v1:Ingress": Case(
        raw={
            "metadata": metadata(annotations={"pulumi.com/skipAwait": "true"}),
            "spec": {"defaultBackend": {"service": {"name": "contract", "port": {"number": 80}}}},
        },
        change={
            "spec": {"defaultBackend": {"service": {"name": "contract", "port": {"number": 81}}}},
        },
        changed={"spec.defaultBackend.service.port.number"},
        drift=_edit(
            f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses",
            {"spec": {"defaultBackend": {"service": {"name": "other"}}}},
        ),
        drifted={"spec.defaultBackend.service.name"},
        imports=IMPORTED,
    ),
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": by_label(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD
    ),
}
