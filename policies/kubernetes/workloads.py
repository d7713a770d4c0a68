"""K14, K15, K28 and K30: room, health, replicas, and ends."""

from collections.abc import Mapping
from typing import Any

from policies.kubernetes.selectors import namespace_of, selected
from policies.model import (
    Context,
    Found,
    Resource,
    Rule,
    Setting,
    Severity,
    Stack,
    each,
    each_of,
    names,
    violation,
)
from policies.reading import BATCH, PODS, WORKLOADS, Container, containers, pod

DISRUPTION_BUDGET = "kubernetes:policy/*:PodDisruptionBudget"
_QUORUM: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}


def _resources(container: Container, _context: Context) -> Found:
    given = container.node["resources"]
    for path in ("requests.cpu", "requests.memory", "limits.memory", "limits.ephemeral-storage"):
        if given[path].missing:
            yield violation(given[path])


def _probes(container: Container, context: Context) -> Found:
    if container.init:
        return
    live, ready, start = (
        container.node[f"{kind}Probe"] for kind in ("liveness", "readiness", "startup")
    )
    for probe in (live, ready):
        if probe.missing:
            yield violation(probe)
    if not live.missing and live.value == ready.value:
        yield violation(live, "the same as the readiness probe: a busy service would be restarted")
    slow = any(part in container.node["image"].text for part in context.settings["slow"])
    if slow and start.missing:
        yield violation(start)
    for probe in (live, ready, start):
        if not probe["httpGet"].missing and (scheme := probe["httpGet.scheme"]).text != "HTTPS":
            yield violation(scheme)


def _replicated(resource: Resource, stack: Stack, context: Context) -> Found:
    name = resource.props["metadata.name"].text
    if name in context.settings["single"]:
        return
    least = context.settings["quorum"].get(name, 2)
    replicas = resource.props["spec.replicas"]
    if (replicas.number or 1) < least:
        yield violation(replicas, f"expected {least} or more", resource)
    template = pod(resource)
    budgets = [
        one
        for one in stack.of(DISRUPTION_BUDGET)
        if namespace_of(one) == namespace_of(resource)
        and selected(one.props["spec.selector"], template.meta["labels"])
    ]
    if not budgets:
        yield violation(template.meta["labels"], "no PodDisruptionBudget selects them", resource)
    spread = template.spec["topologySpreadConstraints"]
    if spread.missing and template.spec["affinity.podAntiAffinity"].missing:
        yield violation(spread, of=resource)


def _bounded_job(resource: Resource, _context: Context) -> Found:
    job = resource.props["spec"]
    if resource.kind == "CronJob":
        if (overlap := job["concurrencyPolicy"]).text not in ("Forbid", "Replace"):
            yield violation(overlap)
        job = job["jobTemplate.spec"]
    for key in ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if job[key].value is None:
            yield violation(job[key])


RULES = (
    Rule(
        id="K14",
        title="Containers have requests and limits.",
        why="Without them one service takes the memory or disk of all others of its node.",
        fix="set requests of cpu and memory, limits of memory and ephemeral-storage",
        severity=Severity.MEDIUM,
        types=PODS,
        check=each(containers, _resources),
    ),
    Rule(
        id="K15",
        title="Containers have liveness and readiness probes that differ, over TLS.",
        why="Without them a hung service gets requests; equal ones restart one for being busy.",
        fix="set livenessProbe and readinessProbe, a startupProbe for slow starters, scheme HTTPS",
        severity=Severity.MEDIUM,
        types=WORKLOADS,
        check=each(containers, _probes),
        settings={
            "slow": names(
                ("airbyte", "dremio", "elasticsearch"),
                "Parts of images whose start takes long: they need a startupProbe.",
            )
        },
    ),
    Rule(
        id="K28",
        title="Workloads survive the loss of a node.",
        why="A drained or broken node takes the only replica with it.",
        fix="run 2 replicas or more (3 for a quorum), with a PodDisruptionBudget and spread",
        severity=Severity.MEDIUM,
        stack=each_of(
            "kubernetes:apps/*:Deployment", "kubernetes:apps/*:StatefulSet", check=_replicated
        ),
        settings={
            "single": names((), "Workloads that cannot have a second replica."),
            "quorum": Setting(
                default={"elasticsearch": 3, "minio": 4, "zookeeper": 3},
                schema=_QUORUM,
                text="Workload -> least number of replicas, where it is not 2.",
            ),
        },
    ),
    Rule(
        id="K30",
        title="Jobs are bounded.",
        why="A job that fails for ever, never ends, or starts beside itself, fills the cluster.",
        fix="set backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished; Forbid overlaps",
        severity=Severity.LOW,
        types=BATCH,
        check=_bounded_job,
    ),
)
