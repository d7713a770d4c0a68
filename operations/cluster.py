"""Backups and recovery of a stack on a cluster, by what the cluster makes them with: into the
backup store, and out of it.

A restore point is a copy of the bucket, and PostgreSQL's archive as of the time at which the copy
began (pipeline/mirror.py).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import urllib3
from minio.error import MinioException

from operations import clients
from operations.archive import BackupError
from operations.restore import deploy
from pipeline.mirror import POINTS, point_name, points
from plugins.kind import ServiceError
from plugins.kubernetes.client import KubeClient
from settings import BACKUP_ACCOUNT, BACKUP_KEYS, RestorePoint, Settings
from tools.running import not_deployed
from tools.stack import Stack, StackError

CRON_JOB = "kubernetes:batch/v1:CronJob"
SCHEDULED_BACKUP = "kubernetes:postgresql.cnpg.io/v1:ScheduledBackup"
SNAPSHOTS = "elasticstack:index/snapshotLifecycle:SnapshotLifecycle"
BACKUP = ("postgresql.cnpg.io/v1", "Backup")
JOB = ("batch/v1", "Job")
LONGEST_S = 13 * 3600.0  # more than the job's own limit
RECOVER = "recover"  # key of the settings
Say = Callable[[str], None]


def back_up(stack: Stack, say: Say) -> None:
    """Starts at once what runs each night, and waits for the end of what a recovery needs. Raises
    BackupError, StackError."""
    require_store(stack)
    declared = stack.resources()
    database, copy = _inputs(declared, SCHEDULED_BACKUP), _inputs(declared, CRON_JOB)
    if database is None or copy is None:
        raise not_deployed(stack)
    with _told():
        cluster = clients.cluster(stack)
        # First PostgreSQL: a restore point needs a base backup that is older.
        say(f"PostgreSQL: {base_backup(cluster, database, say)} is complete")
        say(f"bucket: {copy_bucket(cluster, copy, say)} is complete")
    if policy := next((one["inputs"] for one in declared if one["type"] == SNAPSHOTS), None):
        say(f"Elasticsearch: {_snapshot(stack, str(policy['name']))} has begun")


def base_backup(cluster: KubeClient, scheduled: Mapping[str, Any], say: Say) -> str:
    """The name of a new one, when it is complete. scheduled: what makes them each night."""
    kept = ("cluster", "method", "pluginConfiguration")
    spec = {key: scheduled["spec"][key] for key in kept}
    path = _create(cluster, BACKUP, scheduled["metadata"], spec)
    say(f"PostgreSQL: {path}")

    def probe(live: Mapping[str, Any]) -> bool:
        status = live.get("status") or {}
        if status.get("phase") == "failed":
            raise BackupError(f"PostgreSQL: {path}: {status.get('error', 'failed')}")
        return status.get("phase") == "completed"

    return _wait(cluster, path, probe)


def copy_bucket(cluster: KubeClient, scheduled: Mapping[str, Any], say: Say) -> str:
    """The name of a job that copies the bucket, when it has succeeded."""
    metadata = scheduled["metadata"]
    jobs = cluster.expect(*JOB).path(metadata["namespace"])
    listed = cluster.send("GET", jobs, labelSelector=f"dataflow/service={metadata['name']}")
    for one in (listed or {}).get("items", ()):
        if not _conditions(one):
            name = one["metadata"]["name"]
            raise BackupError(f"bucket: job {name} copies it: try again when it is over")
    template = scheduled["spec"]["jobTemplate"]
    path = _create(cluster, JOB, metadata, template["spec"], template["metadata"])
    say(f"bucket: {path}")

    def probe(live: Mapping[str, Any]) -> bool:
        found = _conditions(live)
        if reason := found.get("Failed"):
            name, namespace = live["metadata"]["name"], metadata["namespace"]
            raise BackupError(
                f"bucket: job {name}: {reason}: kubectl --namespace {namespace} logs job/{name}"
            )
        return "Complete" in found

    return _wait(cluster, path, probe)


def restore(stack: Stack, at: str, say: Say) -> RestorePoint:
    """Deploys a stack that begins with a restore point: the newest one that is not after `at`, ""
    for the newest. Raises BackupError, StackError. May be run again after an interruption."""
    settings = require_store(stack)
    stack.create()
    if stack.resources():
        if settings.recover is None or at:
            raise BackupError(
                f"stack {stack.name!r} is deployed: a restore would overwrite it. If its cluster "
                "is lost: bin/dataflow pulumi stack rm --force --preserve-config "
                f"--stack {stack.name}, then restore"
            )
        point = settings.recover  # an earlier restore was interrupted
    else:
        point = chosen(stack, settings, at)
        stack.set(RECOVER, f"{point.archive}@{point.time}")
    say(f"restore point {point.time}, PostgreSQL's archive {point.archive}")
    deploy(stack)
    return point


def chosen(stack: Stack, settings: Settings, at: str) -> RestorePoint:
    """Raises BackupError."""
    try:
        latest = point_name(datetime.fromisoformat(at).astimezone(UTC)) if at else ""
    except ValueError as fault:
        raise BackupError(f"--at {at!r}: {fault}: expected such as 2026-11-27T05:00Z") from None
    store, bucket = clients.backup_store(stack, settings), settings.backup_bucket
    try:
        known = list(points(store, bucket, stack.name))
        fitting = [name for name in known if not latest or name <= latest]
        if not fitting:
            raise BackupError(
                f"{settings.backup_endpoint}/{bucket}: no restore point of stack {stack.name!r}"
                f"{f' until {latest}' if latest else ''}: it has {', '.join(known) or 'none'}"
            )
        answer = store.get_object(bucket, f"{stack.name}/{POINTS}/{fitting[-1]}.json")
        with answer:
            about = json.loads(answer.read())
    except (MinioException, urllib3.exceptions.HTTPError) as fault:
        raise BackupError(f"{settings.backup_endpoint}/{bucket}: {fault}") from None
    return RestorePoint(archive=str(about["archive"]), time=fitting[-1])


def require_store(stack: Stack) -> Settings:
    """Raises BackupError for a stack without a backup store."""
    settings = stack.settings()
    if not settings.backup_endpoint:
        keys = ", ".join((*BACKUP_KEYS, *BACKUP_ACCOUNT))
        raise BackupError(
            f"stack {stack.name!r}: has no backup store: set {keys} "
            '(docs/deploy/prod.md, "A backup store")'
        )
    return settings


def _inputs(declared: list[dict[str, Any]], kind: str) -> Mapping[str, Any] | None:
    return next((one["inputs"] for one in declared if one["type"] == kind), None)


def _create(
    cluster: KubeClient,
    kind: tuple[str, str],
    like: Mapping[str, Any],
    spec: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """The path of a new object, beside `like` and called like it with the time; and something
    random, because two may be asked for in one second."""
    name = f"{like['name']}-{datetime.now(UTC):%Y%m%dt%H%M%S}-{token_hex(2)}"
    version, of = kind
    labels = (metadata or like)["labels"]
    body = {
        "apiVersion": version,
        "kind": of,
        "metadata": {"name": name, "namespace": like["namespace"], "labels": labels},
        "spec": spec,
    }
    resource = cluster.expect(version, of)
    cluster.send("POST", resource.path(like["namespace"]), body)
    return resource.path(like["namespace"], name)


def _wait(cluster: KubeClient, path: str, done: Callable[[Mapping[str, Any]], bool]) -> str:
    for _ in cluster.polls(LONGEST_S):
        live = cluster.send("GET", path)
        if live is None:
            raise BackupError(f"{path}: was deleted while it was waited for")
        if done(live):
            return str(live["metadata"]["name"])
    raise BackupError(f"{path}: not done after {LONGEST_S:.0f} s")


def _conditions(job: Mapping[str, Any]) -> dict[str, str]:
    """How a job has ended -> why; empty while it runs."""
    found = (job.get("status") or {}).get("conditions") or ()
    return {
        one["type"]: str(one.get("message", ""))
        for one in found
        if one["status"] == "True" and one["type"] in ("Complete", "Failed")
    }


def _snapshot(stack: Stack, policy: str) -> str:
    """The name of a new one. Elasticsearch goes on with it by itself."""
    with clients.search(stack) as api:
        answer = api.post(f"/_slm/policy/{policy}/_execute")
    if not answer.is_success:
        raise BackupError(f"Elasticsearch: policy {policy}: {answer.status_code}: {answer.text}")
    return str(answer.json()["snapshot_name"])


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ServiceError as fault:
        raise StackError(str(fault)) from None
