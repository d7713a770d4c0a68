"""The objects of Kubernetes in objects.json, which the platform declares for a cluster, each after
what it waits for there."""

import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
cluster = k8s.Provider("cluster", kubeconfig=config.require("kubeconfig"), enable_patch_force=True)
made: dict[str, pulumi.Resource] = {}
for entry in json.loads(Path("objects.json").read_text()):
    made[entry["name"]] = pulumi.CustomResource(
        entry["token"],
        entry["name"],
        entry["inputs"],
        pulumi.ResourceOptions(
            provider=cluster,
            depends_on=[made[name] for name in entry["after"]],
            version=config.require("version"),
        ),
    )
