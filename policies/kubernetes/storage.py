"""K29: the volumes that data is on."""

from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Severity,
    Stack,
    each_of,
    names,
    violation,
)

STORAGE_CLASS = "kubernetes:storage.k8s.io/*:StorageClass"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"


def _storage(resource: Resource, stack: Stack, context: Context) -> Found:
    claims = [resource.props["spec"]]
    if resource.kind == "StatefulSet":
        claims = [one["spec"] for one in resource.props["spec.volumeClaimTemplates"]]
    classes = {one.props["metadata.name"].text: one.props for one in stack.of(STORAGE_CLASS)}
    for claim in claims:
        name = claim["storageClassName"]
        if name.text in context.settings["classes"]:
            continue
        if name.text not in classes:
            yield violation(name, "not known to be encrypted and to keep its volumes", resource)
            continue
        found = classes[name.text]
        if not found["parameters.encrypted"].on:
            yield violation(name, "its StorageClass does not encrypt", resource)
        if found["reclaimPolicy"].text != "Retain":
            yield violation(name, "its StorageClass deletes volumes", resource)


RULES = (
    Rule(
        id="K29",
        title="Claims use storage that is encrypted and kept.",
        why="A deleted claim deletes the data; a lost disk discloses it.",
        fix="use a StorageClass with encrypted volumes and reclaimPolicy Retain",
        severity=Severity.MEDIUM,
        stack=each_of(CLAIM, "kubernetes:apps/*:StatefulSet", check=_storage),
        settings={"classes": names((), "Classes of the cluster that are so.")},
    ),
)
