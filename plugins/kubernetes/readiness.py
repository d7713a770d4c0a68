"""When an object is ready, and why it is not.

Of kinds that are not named here an object is ready when it exists, unless its annotation
`pulumi.com/waitFor: condition=<type>` asks for a condition of its status.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dynamic_providers.handler import Props
from plugins.kind import ServiceError
from plugins.kubernetes.client import KubeClient

SKIP = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"
UNSEEN = "its controller has not seen the change yet"
EVENTS_SHOWN = 5
# Of a container that will not start by itself.
STUCK = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        *("CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError"),
    }
)
FOREVER_REFUSED = "violates PodSecurity"  # in an event: trying again does not help


class Unready(Exception):  # noqa: N818 - a state of the object
    """It did not become ready. live: as it was last seen."""

    def __init__(self, text: str, live: Props) -> None:
        super().__init__(text)
        self.live = live


class Hopeless(Exception):  # noqa: N818 - a state of the object
    """It will not become ready by waiting."""


def annotation(live: Mapping[str, Any], name: str) -> str:
    return str(((live.get("metadata") or {}).get("annotations") or {}).get(name, ""))


def wait_ready(client: KubeClient, path: str, live: Props) -> Props:
    """The object when it is ready. Raises Unready at the deadline, or when there is no hope."""
    if annotation(live, SKIP) == "true":
        return live
    waiting, before = "it was not seen", None
    for turn in client.polls(deadline_s(client, live)):
        seen = client.send("GET", path) if turn else live
        if seen is None:
            raise ServiceError(f"{_label(live)} was deleted while it was waited for")
        live = seen
        try:
            waiting = _missing(client, live)
            if not waiting:
                return live
            if live["kind"] in WITH_PODS:
                refusals = _refusals(client, live)
                before = refusals if before is None else before
                if new := [
                    text for text, count in refusals.items() if count > before.get(text, 0)
                ]:
                    raise Hopeless(new[0])
        except Hopeless as reason:
            raise Unready(f"{_label(live)} cannot become ready: {reason}", live) from None
    told = [waiting, *_troubles(client, live)]
    raise Unready(
        f"{_label(live)} is not ready after {deadline_s(client, live):.0f} s: {'; '.join(told)}",
        live,
    )


def deadline_s(client: KubeClient, live: Mapping[str, Any]) -> float:
    text = annotation(live, TIMEOUT)
    try:
        return float(text) if text else client.deadline_s
    except ValueError:
        raise ServiceError(
            f"annotation {TIMEOUT} {text!r}: expected a number of seconds"
        ) from None


def _label(live: Props) -> str:
    metadata = live["metadata"]
    name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
    return f"{live['kind']} {name}"


def _missing(client: KubeClient, live: Props) -> str:
    """What is still waited for, "" when nothing. Raises Hopeless."""
    status, spec = live.get("status") or {}, live.get("spec") or {}
    behind = status.get("observedGeneration", 0) < live["metadata"].get("generation", 0)
    if wanted := annotation(live, WAIT_FOR):
        if behind and "observedGeneration" in status:  # not every controller tells
            return UNSEEN
        return _condition_asked(status, wanted)
    check = CHECKS.get((live["apiVersion"].partition("/")[0], live["kind"]))
    if check is None:
        return ""
    if behind and live["kind"] in OBSERVED:
        return UNSEEN
    return check(client, live, spec, status)


def _conditions(status: Props) -> dict[str, Props]:
    return {entry["type"]: entry for entry in status.get("conditions") or ()}


def _condition_asked(status: Props, wanted: str) -> str:
    kind, _, name = wanted.partition("=")
    if kind != "condition" or not name:
        raise ServiceError(f"annotation {WAIT_FOR} {wanted!r}: expected condition=<type>")
    found = _conditions(status).get(name, {})
    if found.get("status") == "True":
        return ""
    return f"condition {name} is {_told(found)}" if found else f"it has no condition {name} yet"


def _told(condition: Props) -> str:
    text = f"{condition.get('status')} ({condition.get('reason', '')})"
    return f"{text}: {condition['message']}" if condition.get("message") else text


def _deployment(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    if spec.get("paused"):
        return ""
    conditions = _conditions(status)
    progress = conditions.get("Progressing", {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        troubles = "; ".join(_troubles(client, live))
        raise Hopeless(f"{progress.get('message')}{'; ' + troubles if troubles else ''}")
    wanted = spec.get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the new version"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} pods of the old version are still there"
    if available < wanted:
        return f"{available} of {wanted} pods are available"
    return ""


def _stateful_set(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return ""
    wanted = spec.get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    kept = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    if updated < wanted - kept:
        return f"{updated} of {wanted - kept} pods are of the new version"
    if ready < wanted:
        return f"{ready} of {wanted} pods are ready"
    if not kept and wanted and status.get("currentRevision") != status.get("updateRevision"):
        return "the new version is not the current one yet"
    return ""


def _daemon_set(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if (spec.get("updateStrategy") or {}).get("type") != "OnDelete" and updated < wanted:
        return f"{updated} of {wanted} pods are of the new version"
    return "" if available >= wanted else f"{available} of {wanted} pods are available"


def _replica_set(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    wanted, available = spec.get("replicas", 1), status.get("availableReplicas", 0)
    return "" if available >= wanted else f"{available} of {wanted} pods are available"


def _job(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    conditions = _conditions(status)
    if spec.get("suspend") or conditions.get("Complete", {}).get("status") == "True":
        return ""
    if (failed := conditions.get("Failed", {})).get("status") == "True":
        raise Hopeless(f"it failed: {_told(failed)}")
    return f"it runs: {status.get('active', 0)} active, {status.get('failed', 0)} failed"


def _pod(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    phase = status.get("phase", "Pending")
    if phase == "Failed":
        raise Hopeless(f"it failed: {status.get('reason', '')} {status.get('message', '')}")
    ready = _conditions(status).get("Ready", {})
    if phase == "Succeeded" or ready.get("status") == "True":
        return ""
    return "; ".join(_pod_troubles(live)) or f"its phase is {phase}"


def _claim(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    if status.get("phase") == "Bound":
        return ""
    if status.get("phase") == "Lost":
        raise Hopeless("its volume is lost")
    if name := spec.get("storageClassName"):
        found = client.send("GET", f"/apis/storage.k8s.io/v1/storageclasses/{name}")
        if found and found.get("volumeBindingMode") == "WaitForFirstConsumer":
            return ""  # bound when a pod uses it
    return f"its phase is {status.get('phase', 'Pending')}: no volume is bound to it"


def _service(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    if spec.get("type") == "ExternalName":
        return ""
    if spec.get("type") == "LoadBalancer" and not _addresses(status):
        return "its load balancer has no address yet"
    if not spec.get("selector") or spec.get("clusterIP") == "None":
        return ""
    namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
    slices = client.send(
        "GET",
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        labelSelector=f"kubernetes.io/service-name={name}",
    )
    for piece in slices["items"]:
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True):
                return ""
    return "no pod that it selects is ready"


def _ingress(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    return "" if _addresses(status) else "it has no address yet"


def _addresses(status: Props) -> Any:
    return (status.get("loadBalancer") or {}).get("ingress")


def _namespace(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    phase = status.get("phase", "Active")
    return "" if phase == "Active" else f"its phase is {phase}"


def _definition(client: KubeClient, live: Props, spec: Props, status: Props) -> str:
    conditions = _conditions(status)
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        raise Hopeless(f"its names are taken: {_told(names)}")
    if conditions.get("Established", {}).get("status") == "True":
        return ""
    return "it is not established yet"


Check = Callable[[KubeClient, Props, Props, Props], str]
# (group, or version of the core group; kind) -> what it waits for
CHECKS: dict[tuple[str, str], Check] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("v1", "Pod"): _pod,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Service"): _service,
    ("v1", "Namespace"): _namespace,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
# Kinds whose controllers write down the generation that they have seen.
OBSERVED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
WITH_PODS = OBSERVED | {"Job"}


def _refusals(client: KubeClient, live: Props) -> dict[str, int]:
    """Why no pod of this object will ever be admitted -> how often that was said. What was said
    before the wait may be mended by now, and is said again if not."""
    return {text: count for text, count in _warnings(client, live) if FOREVER_REFUSED in text}


def _troubles(client: KubeClient, live: Props) -> Iterator[str]:
    """What the conditions, the pods and the events say, the most telling first."""
    for condition in _conditions(live.get("status") or {}).values():
        if condition.get("message") and condition.get("status") != "True":
            yield f"condition {condition['type']} is {_told(condition)}"
    if live["kind"] in WITH_PODS:
        told = dict.fromkeys(t for pod in _pods(client, live) for t in _pod_troubles(pod))
        yield from list(told)[:EVENTS_SHOWN]
    yield from list(dict(_warnings(client, live)))[-EVENTS_SHOWN:]


def _pods(client: KubeClient, live: Props) -> list[Props]:
    labels = (live["spec"].get("selector") or {}).get("matchLabels") or {}
    path = f"/api/v1/namespaces/{live['metadata']['namespace']}/pods"
    chosen = ",".join(f"{key}={value}" for key, value in labels.items())
    return list((client.send("GET", path, labelSelector=chosen) or {}).get("items", ()))


def _pod_troubles(pod: Props) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    scheduled = _conditions(status).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"pod {name} has no node: {scheduled.get('message')}"
    for part in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = (part.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in STUCK:
            yield (
                f"container {part['name']} of pod {name}: {waiting['reason']}: "
                f"{waiting.get('message', '')}"
            )


def _warnings(client: KubeClient, live: Props) -> Iterator[tuple[str, int]]:
    """Warnings about the object, and about the replica sets and pods named after it, each with
    the number of times that it was given."""
    metadata = live["metadata"]
    namespace, name = metadata.get("namespace") or "default", metadata["name"]
    events = client.send(
        "GET", f"/api/v1/namespaces/{namespace}/events", fieldSelector="type=Warning"
    )
    for event in (events or {}).get("items", ()):
        about = event.get("involvedObject") or {}
        own = about.get("uid") == metadata.get("uid")
        below = live["kind"] in WITH_PODS and str(about.get("name")).startswith(f"{name}-")
        if own or below:
            text = f"{about.get('kind')} {about.get('name')}: {event.get('message')}"
            yield text, event.get("count") or 1
