"""The files that pods are configured with: ConfigMaps and Secrets, one volume of them all, and a
note on the pod that changes with them."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.kubernetes import certificates
from components.runtime.kubernetes.cluster import Cluster, secret
from components.runtime.service import Filled, Job, Service, Texts


def key_of(path: str) -> str:
    """A file's key in a ConfigMap or Secret, whose keys have no slashes."""
    return path.replace("/", ".")


def by_key(texts: Texts) -> dict[str, pulumi.Input[str]]:
    return {key_of(path): text for path, text in texts.items()}


def files(
    cluster: Cluster, program: Service | Job, component: pulumi.Resource
) -> list[pulumi.Resource]:
    made: list[pulumi.Resource] = []
    if program.files:
        name = f"{program.name}-files"
        made.append(
            k8s.core.v1.ConfigMap(
                name,
                metadata=cluster.metadata(name, of=program.name),
                data=by_key(program.files),
                opts=child_of(component),
            )
        )
    if program.secret_files:
        data = by_key(program.secret_files)
        made.append(secret(cluster, component, f"{program.name}-secrets", data, of=program.name))
    return made


def sources(cluster: Cluster, program: Service | Job) -> list[dict[str, Any]]:
    """Of the volume that holds its configuration."""
    found = []
    if program.files:
        found.append(_source("configMap", f"{program.name}-files", program.files))
    if program.secret_files:
        found.append(_source("secret", f"{program.name}-secrets", program.secret_files))
    if isinstance(program, Service):
        if cluster.containers.authority and program.certificate:
            found.append(certificates.source(program.name, program.certificate))
        found += _filled_sources(program.filled_files)
    return found


def _source(kind: str, name: str, texts: Texts) -> dict[str, Any]:
    """Files of a ConfigMap (`configMap`) or Secret (`secret`)."""
    return {kind: {"name": name, "items": [{"key": key_of(p), "path": p} for p in sorted(texts)]}}


def _filled_sources(filled: Mapping[str, Filled]) -> list[dict[str, Any]]:
    """The same for entries of secrets that jobs fill. Pods wait until they are there."""
    return [
        {"secret": {"name": one.secret, "items": [{"key": one.key, "path": path}]}}
        for path, one in sorted(filled.items())
    ]


def pod_metadata(
    cluster: Cluster, program: Service | Job, triggers: Texts | None = None
) -> dict[str, Any]:
    # Programs read once whom they trust.
    authority = cluster.containers.authority
    trusted = {"ca.crt": authority.trusted} if authority else {}
    audit = program.audit if isinstance(program, Service) else None
    return {
        "labels": cluster.labels(program.name),
        "annotations": {
            "dataflow/files": _checksum(program.files, program.secret_files, trusted),
            **{f"dataflow/{name}": value for name, value in (triggers or {}).items()},
            **(audit.notes() if audit else {}),
        },
    }


def _checksum(*all_texts: Texts) -> pulumi.Output[str]:
    """Changes with any file, so that pods start again with it. Of secrets too: each has 240
    random bits, so nothing can be learned from a hash over all of them."""
    merged = {path: text for texts in all_texts for path, text in texts.items()}

    def digest(contents: Mapping[str, str]) -> str:
        total = hashlib.sha256()
        for path in sorted(contents):
            total.update(f"{path}\0{contents[path]}\0".encode())
        return total.hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(**merged).apply(digest))
