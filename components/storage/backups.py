"""Backups in an S3 service elsewhere: where PostgreSQL's archive goes, the nightly copy of the
bucket, and the way back of both.

What belongs to a stack is below a folder of its name, so that stacks can share the bucket.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.context import Context
from components.runtime.catalog import BACKUP_STORE, OBJECT_STORE
from components.runtime.service import Archive, Bucket, Job, Recovery, ScheduledJob
from components.storage.object_store import (
    Access,
    ExternalStore,
    ObjectStore,
    account_files,
    store_settings,
)
from flow.model import Layer
from pipeline.config import COPIED, RECOVERED

ARCHIVE = "postgres"  # of the first cluster: CloudNativePG calls it like that
COPY, COPY_BACK = "lake-backup", "lake-recovery"
COPY_SCHEDULE = "0 5 * * *"  # after the nightly batch of the specification
COPY_TIMEOUT_S = 12 * 3600  # the first copy of a large lake: the next one goes on with it
# Reflections, and what Airbyte's product keeps there, are made anew.
FOLDERS = (Layer.BRONZE, Layer.SILVER, Layer.GOLD)
# Dremio makes no table where files are already: silver and gold are built anew.
RECOVERED_FOLDERS = (Layer.BRONZE,)
COPY_ACCESS = Access(user=COPY, read=(*FOLDERS, COPIED), write=(COPIED,))
WATCH_ACCESS = Access(user="lake-watch", read=(COPIED,))
RECOVERY_ACCESS = Access(
    user=COPY_BACK,
    read=(*RECOVERED_FOLDERS, RECOVERED),
    write=(*RECOVERED_FOLDERS, RECOVERED),
)


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """archive: of PostgreSQL, which a copy belongs to."""

    context: Context
    object_store: ObjectStore
    archive: Archive


class Backups(pulumi.ComponentResource):
    """Of a stack that begins with a restore point, the bucket is filled before anybody uses it.

    noted: where it is noted when a copy was complete, as who watches that reads it."""

    noted: Bucket
    noted_ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:storage:Backups", name, None, opts)
        runtime, store = args.context.runtime, args.object_store
        if recovery := args.archive.recovery:
            job = _job(
                args, COPY_BACK, "recover", RECOVERED_FOLDERS, {"restorePoint": recovery.time}
            )
            store.after(runtime.job(job, parent=self, depends_on=store.ready(COPY_BACK)))
        runtime.scheduled_job(
            ScheduledJob(job=_job(args, COPY, "save", FOLDERS), schedule=COPY_SCHEDULE),
            parent=self,
            depends_on=store.ready(COPY),
        )
        self.noted = store.bucket(WATCH_ACCESS.user)
        self.noted_ready = store.ready(WATCH_ACCESS.user)
        self.register_outputs({"schedule": COPY_SCHEDULE})


def archive(context: Context, store: ExternalStore, recovery: Recovery | None) -> Archive:
    """Where PostgreSQL's log and backups go, in a store elsewhere."""
    bucket = Bucket(
        endpoint=context.runtime.endpoint(BACKUP_STORE, "s3"),
        name=store.bucket,
        region=store.region,
        access_key=store.access_key,
        secret_key=store.secret_key,
    )
    return Archive(
        store=BACKUP_STORE,
        bucket=bucket,
        prefix=pulumi.get_stack(),
        # CloudNativePG refuses an archive that another cluster has written.
        name=f"{ARCHIVE}-{recovery.suffix}" if recovery else ARCHIVE,
        recovery=recovery,
    )


def access(recovery: bool) -> tuple[Access, ...]:
    """The accounts that backups need in the stack's own object store."""
    return (COPY_ACCESS, WATCH_ACCESS, *([RECOVERY_ACCESS] if recovery else []))


def _job(
    args: BackupsArgs,
    name: str,
    verb: str,
    folders: Sequence[str],
    more: Mapping[str, str] | None = None,
) -> Job:
    """Its account in the object store is called like it."""
    stores = {"lake": args.object_store.bucket(name), "backup": args.archive.bucket}
    directory = args.context.runtime.directory(name) / "config"
    config: dict[str, Any] = {
        "folders": list(folders),
        "prefix": args.archive.prefix,
        "archive": args.archive.name,
        **(more or {}),
    }
    secrets: dict[str, pulumi.Input[str]] = {}
    for of, bucket in stores.items():
        config[of] = store_settings(of, bucket, directory)
        secrets |= account_files(of, bucket)
    return Job(
        name=name,
        command=args.context.runtime.python(
            "pipeline.mirror", verb, "--config", str(directory / "mirror.json")
        ),
        files={"mirror.json": json.dumps(config, indent=2)},
        secret_files=secrets,
        connects_to=(OBJECT_STORE, BACKUP_STORE),
        timeout_s=COPY_TIMEOUT_S,
    )
