"""The objects of Kubernetes in objects.json, which the platform declares for a cluster."""

import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

FIRST = {"Namespace", "PriorityClass"}
LAST = {"Deployment", "Job", "StatefulSet"}  # and custom resources: what pods come from

config = pulumi.Config()
cluster = k8s.Provider("cluster", kubeconfig=config.require("kubeconfig"), enable_patch_force=True)
made: list[list[pulumi.Resource]] = [[], [], []]
for entry in json.loads(Path("objects.json").read_text()):
    kind = entry["token"].rpartition(":")[2]
    turn = 0 if kind in FIRST else 2 if kind in LAST or entry["custom"] else 1
    before = [one for earlier in made[:turn] for one in earlier]
    resource = pulumi.CustomResource(
        entry["token"],
        entry["name"],
        entry["inputs"],
        pulumi.ResourceOptions(
            provider=cluster, depends_on=before, version=config.require("version")
        ),
    )
    made[turn].append(resource)
