"""Rules on Kubernetes objects, as pulumi-kubernetes writes them."""

from policies.kubernetes import (
    images,
    network,
    pod_security,
    rbac,
    secrets,
    storage,
    workloads,
)
from policies.model import Rule

MODULES = (pod_security, images, workloads, rbac, network, secrets, storage)
RULES: tuple[Rule, ...] = tuple(
    sorted((rule for module in MODULES for rule in module.RULES), key=lambda rule: rule.id)
)
