"""The kubernetes plugin as data."""

from typing import Any

from dynamic_providers.handler import Props
from plugins.kubernetes.objects import Objects
from plugins.provider import Plugin

# The kinds that the plugin knows something of: when they are ready, what replaces them. Every
# other kind is served likewise, by what the API itself says of it (provider.py).
KNOWN = {
    "apps/v1": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "batch/v1": ("Job",),
    "core/v1": (*("ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "Secret", "Service"),),
    "networking.k8s.io/v1": ("Ingress",),
    "apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
}
CLIENT_SIDE = "it makes no object by itself: declare its objects, or use the yaml classes"


def _connect(settings: Props) -> Any:
    from plugins.kubernetes.client import connect  # late: the engine must be answered first

    return connect(settings)


PLUGIN = Plugin(
    name="kubernetes",
    sdk="pulumi_kubernetes",
    connect=_connect,
    secret_settings=frozenset({"kubeconfig"}),
    absent={
        "kubernetes:helm.sh/v3:Release": CLIENT_SIDE,
        "kubernetes:helm.sh/v4:Chart": CLIENT_SIDE,
        "kubernetes:kustomize/v2:Directory": CLIENT_SIDE,
        "kubernetes:yaml/v2:ConfigFile": CLIENT_SIDE,
        "kubernetes:yaml/v2:ConfigGroup": CLIENT_SIDE,
    },
    handlers={
        f"kubernetes:{version}:{kind}": Objects(
            api_version=version.removeprefix("core/"), kind=kind
        )
        for version, kinds in KNOWN.items()
        for kind in kinds
    },
)
