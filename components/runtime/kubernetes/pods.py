"""Pods that the Pod Security Standard `restricted` admits: the part that all workloads share.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.runtime.catalog import place
from components.runtime.containers import CA_FILE, ROOT, SHELL, Containers, first_steps
from components.runtime.kubernetes import certificates
from components.runtime.service import Filled, Job, Readiness, Service
from components.sizing import Size

Texts = Mapping[str, pulumi.Input[str]]
POLL_S = 5  # between two probes
TMP = "/tmp"  # noqa: S108 - an empty volume of the pod
TMP_SIZE = "256Mi"
FILE_MODE = 0o440  # the pod's group reads; nobody else
EPHEMERAL_REQUEST = "256Mi"
EPHEMERAL_LIMIT = "2Gi"  # logs, /tmp, and the data of services that keep none
CPU_BURST = 2  # a limit of twice what is asked for: starts are not throttled
LIVENESS_FAILURES = 12  # a minute: slow is not dead


def labels(stack: str, name: str) -> dict[str, str]:
    return {
        **selector(stack, name),
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": "dataflow",
        "app.kubernetes.io/component": place(name).layer,
    }


def selector(stack: str, name: str) -> dict[str, str]:
    """Labels of a service's pods. Not the usual names: operators set those of their own pods."""
    return {"dataflow/service": name, "dataflow/stack": stack}


def namespace_labels(stack: str) -> dict[str, str]:
    """The API server refuses every pod that is not `restricted`."""
    levels = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
    }
    return {**levels, "dataflow/stack": stack}


def key_of(path: str) -> str:
    """A file's key in a ConfigMap or Secret, whose keys have no slashes."""
    return path.replace("/", ".")


def pod_security(user: int) -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }


def resources(size: Size) -> dict[str, Any]:
    memory = f"{size.memory_mib}Mi"
    return {
        "requests": {
            "cpu": f"{size.cores:g}",
            "memory": memory,
            "ephemeral-storage": EPHEMERAL_REQUEST,
        },
        "limits": {
            "cpu": f"{size.cores * CPU_BURST:g}",
            "memory": memory,
            "ephemeral-storage": EPHEMERAL_LIMIT,
        },
    }


def spec(
    program: Service | Job,
    containers: Containers,
    *,
    stack: str,
    files: Sequence[Mapping[str, Any]],
    keeps_data: bool,
    priority: pulumi.Input[str],
    token: bool = False,
) -> dict[str, Any]:
    """The pod of a service or job. files: sources of the volume that holds its configuration.
    token: whether it may call the API server, by the rights of its account."""
    image = containers.images.of(program.program)
    service = program if isinstance(program, Service) else None
    container: dict[str, Any] = {
        "name": program.name,
        "image": containers.images.reference(image.program),
        "imagePullPolicy": "IfNotPresent",
        "command": list(program.command),
        "workingDir": str(ROOT / program.name / "data"),
        "env": [{"name": name, "value": value} for name, value in containers.environment(program)],
        "resources": resources(program.size),
        "securityContext": container_security(),
        "volumeMounts": _mounts(program.name, trusts=containers.authority is not None),
    }
    volumes: list[dict[str, Any]] = [
        {"name": "config", "projected": {"defaultMode": FILE_MODE, "sources": list(files)}},
        {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
    ]
    if containers.authority:
        trusted = {"name": certificates.TRUSTED, "defaultMode": FILE_MODE}
        volumes.append({"name": "authority", "configMap": trusted})
    if not keeps_data:
        volumes.append({"name": "data", "emptyDir": {"sizeLimit": EPHEMERAL_LIMIT}})
    pod: dict[str, Any] = {
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "priorityClassName": priority,
        "securityContext": pod_security(image.user),
        "serviceAccountName": program.name,
        "containers": [container],
        "volumes": volumes,
    }
    if service is None:
        return {**pod, "restartPolicy": "Never"}
    container["ports"] = [
        {"name": label, "containerPort": port} for label, port in service.ports.items()
    ]
    container |= probes(service, secure=containers.authority is not None)
    if containers.authority and service.certificate and service.certificate.restarts:
        served = str(service.certificate.files(ROOT / service.name).certificate)
        port = str(next(iter(service.ports.values())))
        container["command"] = [*BASH, NOTE_CERTIFICATE, SERVED, served, *container["command"]]
        alive = [*BASH, SERVES_IT, SERVED, served, port]
        container["livenessProbe"] = _by_command(container["livenessProbe"], alive)
    if service.init:
        pod["initContainers"] = [
            {
                **{
                    key: container[key]
                    for key in container
                    if key not in PROBES and key != "ports"
                },
                "name": f"{program.name}-init",
                "command": [*SHELL, first_steps(service)],
            }
        ]
    if service.size.replicas > 1:
        pod["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(stack, program.name)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ]
    return {**pod, "terminationGracePeriodSeconds": service.stop_timeout_s}


PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# A program that reads its certificate once counts as dead when another one is there, and starts
# again with it. Arguments: a copy of what it started with, the certificate, then its command or
# port. The images of such programs have bash, and not all have more.
BASH = ("bash", "-ec")
SERVED = f"{TMP}/served.crt"
NOTE_CERTIFICATE = 'printf %s "$(<"$1")" > "$0"; shift; exec "$@"'
SERVES_IT = '[[ "$(<"$1")" == "$(<"$0")" ]]; exec 3<>/dev/tcp/127.0.0.1/"$2"'


def probes(service: Service, *, secure: bool) -> dict[str, Any]:
    """Starting may take long; ready is what the service says; alive is an open port.

    secure: services with a certificate are asked over TLS. The kubelet does not verify it."""
    readiness = service.readiness
    if readiness is None:
        return {}
    asked = _probe(readiness, "HTTPS" if secure and service.certificate else "HTTP")
    alive = asked if readiness.kind == "command" else {"tcpSocket": {"port": readiness.port}}
    return {
        "startupProbe": {
            **asked,
            "periodSeconds": POLL_S,
            "timeoutSeconds": POLL_S,
            "failureThreshold": -(-readiness.timeout_s // POLL_S),
        },
        "readinessProbe": {
            **asked,
            "periodSeconds": POLL_S,
            "timeoutSeconds": POLL_S,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **alive,
            "periodSeconds": POLL_S,
            "timeoutSeconds": POLL_S,
            "failureThreshold": LIVENESS_FAILURES,
        },
    }


def _by_command(probe: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """The same probe, by a command."""
    kept = {key: value for key, value in probe.items() if key not in ("tcpSocket", "exec")}
    return {**kept, "exec": {"command": list(command)}}


def _probe(readiness: Readiness, scheme: str) -> dict[str, Any]:
    if readiness.kind == "http":
        return {"httpGet": {"path": readiness.path, "port": readiness.port, "scheme": scheme}}
    if readiness.kind == "tcp":
        return {"tcpSocket": {"port": readiness.port}}
    return {"exec": {"command": list(readiness.command)}}


def _mounts(name: str, *, trusts: bool) -> list[dict[str, Any]]:
    folder, authority = ROOT / name, str(CA_FILE.parent)
    return [
        *([{"name": "authority", "mountPath": authority, "readOnly": True}] if trusts else []),
        {"name": "config", "mountPath": str(folder / "config"), "readOnly": True},
        {"name": "data", "mountPath": str(folder / "data")},
        {"name": "tmp", "mountPath": TMP},
    ]


def source(kind: str, name: str, texts: Texts) -> dict[str, Any]:
    """Files of a ConfigMap (`configMap`) or Secret (`secret`) for the configuration volume."""
    return {kind: {"name": name, "items": [{"key": key_of(p), "path": p} for p in sorted(texts)]}}


def filled_sources(filled: Mapping[str, Filled]) -> list[dict[str, Any]]:
    """The same for entries of secrets that jobs fill. Pods wait until they are there."""
    return [
        {"secret": {"name": one.secret, "items": [{"key": one.key, "path": path}]}}
        for path, one in sorted(filled.items())
    ]


def checksum(*all_texts: Texts) -> pulumi.Output[str]:
    """Changes with any file, so that pods start again with it. Of secrets too: each has 240
    random bits, so nothing can be learned from a hash over all of them."""
    merged = {path: text for texts in all_texts for path, text in texts.items()}

    def digest(contents: Mapping[str, str]) -> str:
        total = hashlib.sha256()
        for path in sorted(contents):
            total.update(f"{path}\0{contents[path]}\0".encode())
        return total.hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(**merged).apply(digest))
