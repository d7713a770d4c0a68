"""Jobs: once, at each change of them, and by the clock."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.kubernetes import configuration, network, pods, rbac
from components.runtime.kubernetes.cluster import Cluster, secret
from components.runtime.service import Job, ScheduledJob

RETRIES = 2
LATEST_START_S = 3600  # of a scheduled job, after its time
KEPT = 3  # of a scheduled job, each way that they can end
KEPT_S = 7 * 24 * 3600  # with its pods and their logs, after its end


def once(
    cluster: Cluster, job: Job, component: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
) -> None:
    needs = _needs(cluster, job, component)
    k8s.batch.v1.Job(
        f"{job.name}-run",
        metadata=cluster.metadata(job.name, timeout_s=job.timeout_s),
        spec=_run(cluster, job),
        opts=pulumi.ResourceOptions.merge(
            child_of(component, depends_on=[*depends_on, *needs]),
            # A job cannot change: another one of its name takes its place.
            pulumi.ResourceOptions(delete_before_replace=True),
        ),
    )


def scheduled(
    cluster: Cluster,
    scheduled: ScheduledJob,
    component: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> None:
    job = scheduled.job
    needs = _needs(cluster, job, component)
    k8s.batch.v1.CronJob(
        f"{job.name}-schedule",
        metadata=cluster.metadata(job.name),
        spec={
            "schedule": scheduled.schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            # Missed by more, such as by a cluster that was down, it waits for its next time.
            "startingDeadlineSeconds": LATEST_START_S,
            "successfulJobsHistoryLimit": KEPT,
            "failedJobsHistoryLimit": KEPT,
            "jobTemplate": {
                "metadata": {"labels": cluster.labels(job.name)},
                "spec": {**_run(cluster, job), "ttlSecondsAfterFinished": KEPT_S},
            },
        },
        opts=child_of(component, depends_on=[*depends_on, *needs]),
    )


def _needs(cluster: Cluster, job: Job, component: pulumi.Resource) -> list[pulumi.Resource]:
    """What is there before its pods."""
    needs = [
        *configuration.files(cluster, job, component),
        rbac.account(cluster, job.name, component),
        *network.edges(cluster, job, component),
    ]
    if job.fills:
        needs.append(secret(cluster, component, job.fills, {}, of=job.name))
        needs += rbac.filling(cluster, job.name, job.fills, component)
    return needs


def _run(cluster: Cluster, job: Job) -> dict[str, Any]:
    return {
        "backoffLimit": RETRIES,
        "activeDeadlineSeconds": job.timeout_s,
        "template": pods.template(cluster, job),
    }
