"""A little of everything, with the official SDK as it is, in a namespace that is restricted."""

import json

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
cluster = k8s.Provider("cluster", kubeconfig=config.require("kubeconfig"), enable_patch_force=True)
there = pulumi.ResourceOptions(provider=cluster)
labels = {"app": "web"}

space = k8s.core.v1.Namespace(
    "lake",
    metadata={
        "name": "lake",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
    opts=there,
)


def named(name: str, **more: object) -> dict:
    return {"name": name, "namespace": space.metadata.name, **more}


def template(image: str, privileged: bool = False, **more: object) -> dict:
    container = {
        "name": "web",
        "image": image,
        "env": [{"name": "MODE", "value": "fast"}],
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": privileged,
            "privileged": privileged,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    safe = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "securityContext": safe, **more},
    }


settings = k8s.core.v1.ConfigMap(
    "settings", metadata={"namespace": space.metadata.name}, data={"a": "1"}, opts=there
)
k8s.core.v1.Secret(
    "login",
    metadata=named("login"),
    string_data={"password": config.require_secret("password")},
    opts=there,
)
web = k8s.apps.v1.Deployment(
    "web",
    metadata=named("web"),
    spec={
        "replicas": config.require_int("replicas"),
        "selector": {"matchLabels": labels},
        "template": template(config.require("image")),
    },
    opts=there,
)
service = k8s.core.v1.Service(
    "web",
    metadata=named("web"),
    spec={"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    opts=there,
)
k8s.apps.v1.StatefulSet(
    "store",
    metadata=named("store"),
    spec={
        "replicas": 2,
        "serviceName": config.require("serviceName"),
        "selector": {"matchLabels": {"app": "store"}},
        "template": template("registry.test/store:1") | {"metadata": {"labels": {"app": "store"}}},
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        ],
    },
    opts=there,
)
k8s.batch.v1.Job(
    "setup",
    metadata=named("setup"),
    spec={
        "backoffLimit": 0,
        "template": {"spec": template("setup:1", restartPolicy="Never")["spec"]},
    },
    opts=there,
)
k8s.networking.v1.NetworkPolicy(
    "deny",
    metadata=named("deny"),
    spec={"podSelector": {}, "policyTypes": ["Ingress"]},
    opts=there,
)
definition = k8s.apiextensions.v1.CustomResourceDefinition(
    "lakes", opts=there, **json.loads(config.require("definition"))
)
k8s.apiextensions.CustomResource(
    "bronze",
    api_version="test.dataflow/v1",
    kind="Lake",
    metadata=named("bronze"),
    spec={"depth": 5, "parts": [{"name": "a"}]},
    opts=pulumi.ResourceOptions(provider=cluster, depends_on=[definition]),
)
if config.get("refused") == "pod":
    k8s.core.v1.Pod(
        "refused",
        metadata=named("refused"),
        spec=template("x:1", privileged=True)["spec"],
        opts=there,
    )
if config.get("refused") == "deployment":
    k8s.apps.v1.Deployment(
        "refused",
        metadata=named("refused"),
        spec={
            "selector": {"matchLabels": labels},
            "template": template("x:1", privileged=not config.get_bool("mended")),
        },
        opts=there,
    )
if config.get_bool("importing"):
    k8s.core.v1.ConfigMap(
        "adopted",
        metadata={"name": "by-hand", "namespace": "lake"},
        data={"a": "1"},
        opts=pulumi.ResourceOptions(provider=cluster, import_="lake/by-hand"),
    )

pulumi.export("settings", settings.metadata.name)
pulumi.export("address", service.spec.cluster_ip)
