"""Pods that the Pod Security Standard `restricted` admits: the part that all workloads share.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from components.runtime.catalog import STORAGE, place
from components.runtime.containers import CA_FILE, ROOT, SHELL, Containers, first_steps
from components.runtime.kubernetes import certificates, configuration
from components.runtime.kubernetes.cluster import Cluster
from components.runtime.service import Job, Readiness, Service
from components.sizing import Size

POLL_S = 5  # between two probes
TMP = "/tmp"  # noqa: S108 - an empty volume of the pod
TMP_SIZE = "256Mi"
FILE_MODE = 0o440  # the pod's group reads; nobody else
EPHEMERAL_REQUEST = "256Mi"
EPHEMERAL_LIMIT = "2Gi"  # logs, /tmp, and the data of services that keep none
CPU_BURST = 2  # a limit of twice what is asked for: starts are not throttled
LIVENESS_FAILURES = 12  # a minute: slow is not dead


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


def claim(disk_gib: int, storage_class: str) -> dict[str, Any]:
    """What a volume must be; the cluster's own class without a storage class."""
    wanted: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{disk_gib}Gi"}},
    }
    return wanted | ({"storageClassName": storage_class} if storage_class else {})


def template(cluster: Cluster, program: Service | Job) -> dict[str, Any]:
    """The pods of a service or job."""
    triggers = program.triggers if isinstance(program, Job) else {}
    return {
        "metadata": configuration.pod_metadata(cluster, program, triggers),
        "spec": _spec(cluster, program),
    }


def _spec(cluster: Cluster, program: Service | Job) -> dict[str, Any]:
    container = _container(cluster.containers, program)
    shared: dict[str, Any] = {
        # Whether it may call the API server, by the rights of its account.
        "automountServiceAccountToken": bool(
            program.fills if isinstance(program, Job) else program.launches
        ),
        "enableServiceLinks": False,
        "priorityClassName": cluster.priorities[_priority(program)],
        "securityContext": pod_security(cluster.containers.images.of(program.program).user),
        "serviceAccountName": program.name,
        "volumes": _volumes(cluster, program),
    }
    if isinstance(program, Job):
        return {**shared, "containers": [container], "restartPolicy": "Never"}
    container |= _served(cluster.containers, program)
    spread = _spread(cluster, program)
    return {
        **shared,
        "containers": [container],
        **({"initContainers": [_init(program, container)]} if program.init else {}),
        **({"topologySpreadConstraints": spread} if program.size.replicas > 1 else {}),
        "terminationGracePeriodSeconds": program.stop_timeout_s,
    }


def keeps_data(program: Service | Job) -> bool:
    return isinstance(program, Service) and program.size.disk_gib > 0


def _priority(program: Service | Job) -> str:
    if isinstance(program, Job):
        return "jobs"
    return "stores" if place(program.name).layer == STORAGE else "engines"


def _container(containers: Containers, program: Service | Job) -> dict[str, Any]:
    image = containers.images.of(program.program)
    return {
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


def _volumes(cluster: Cluster, program: Service | Job) -> list[dict[str, Any]]:
    files = configuration.sources(cluster, program)
    volumes: list[dict[str, Any]] = [
        {"name": "config", "projected": {"defaultMode": FILE_MODE, "sources": files}},
        {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
    ]
    if cluster.containers.authority:
        trusted = {"name": certificates.TRUSTED, "defaultMode": FILE_MODE}
        volumes.append({"name": "authority", "configMap": trusted})
    if not keeps_data(program):
        volumes.append({"name": "data", "emptyDir": {"sizeLimit": EPHEMERAL_LIMIT}})
    return volumes


def _served(containers: Containers, service: Service) -> dict[str, Any]:
    """What the container of a service has and that of a job has not."""
    served: dict[str, Any] = {
        "ports": [{"name": name, "containerPort": port} for name, port in service.ports.items()],
        **probes(service, secure=containers.authority is not None),
    }
    if containers.authority and service.certificate and service.certificate.restarts:
        certificate = str(service.certificate.files(ROOT / service.name).certificate)
        port = str(next(iter(service.ports.values())))
        alive = [*BASH, SERVES_IT, SERVED, certificate, port]
        served["livenessProbe"] = _by_command(served["livenessProbe"], alive)
        served["command"] = [*BASH, NOTE_CERTIFICATE, SERVED, certificate, *service.command]
    return served


def _init(service: Service, container: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the first steps where the service will find what they make."""
    shared = {key: container[key] for key in container if key not in (*PROBES, "ports")}
    return {
        **shared,
        "name": f"{service.name}-init",
        "command": [*SHELL, first_steps(service)],
    }


def _spread(cluster: Cluster, service: Service) -> list[dict[str, Any]]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": cluster.selector(service.name)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


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
