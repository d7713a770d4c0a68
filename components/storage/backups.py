"""Backups in an S3 service elsewhere: where PostgreSQL's archive goes, and the nightly copy of the
bucket.

What belongs to a stack is below a folder of its name, so that stacks can share the bucket.
"""

import json
from dataclasses import dataclass
from typing import Any

import pulumi

from components.context import Context
from components.runtime.catalog import BACKUP_STORE, OBJECT_STORE
from components.runtime.service import Archive, Bucket, Job, ScheduledJob
from components.storage.object_store import Access, ExternalStore, ObjectStore
from flow.model import Layer

ARCHIVES = "postgres"  # folder of PostgreSQL's, as pipeline/mirror.py has those of the bucket
COPY = "lake-backup"
COPY_USER = COPY
COPY_SCHEDULE = "0 5 * * *"  # after the nightly batch of the specification
COPY_TIMEOUT_S = 12 * 3600  # the first copy of a large lake: the next one goes on with it
# Reflections, and what Airbyte's product keeps there, are made anew.
FOLDERS = (Layer.BRONZE, Layer.SILVER, Layer.GOLD)
COPY_ACCESS = Access(user=COPY_USER, read=FOLDERS)


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """archive: of PostgreSQL, which a copy belongs to."""

    context: Context
    object_store: ObjectStore
    archive: Archive


class Backups(pulumi.ComponentResource):
    copy: pulumi.Resource

    def __init__(
        self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:storage:Backups", name, None, opts)
        self.copy = args.context.runtime.scheduled_job(
            ScheduledJob(job=_copy(args), schedule=COPY_SCHEDULE),
            parent=self,
            depends_on=args.object_store.ready(COPY_USER),
        )
        self.register_outputs({"schedule": COPY_SCHEDULE})


def archive(context: Context, store: ExternalStore) -> Archive:
    """Where PostgreSQL's log and backups go, in a store elsewhere."""
    bucket = Bucket(
        endpoint=context.runtime.endpoint(BACKUP_STORE, "s3"),
        name=store.bucket,
        region=store.region,
        access_key=store.access_key,
        secret_key=store.secret_key,
    )
    return Archive(store=BACKUP_STORE, bucket=bucket, prefix=pulumi.get_stack())


def _copy(args: BackupsArgs) -> Job:
    stores = {"lake": args.object_store.bucket(COPY_USER), "backup": args.archive.bucket}
    directory = args.context.runtime.directory(COPY) / "config"
    config: dict[str, Any] = {
        "folders": list(FOLDERS),
        "prefix": args.archive.prefix,
        "archive": ARCHIVES,
    }
    secrets: dict[str, pulumi.Input[str]] = {}
    for name, bucket in stores.items():
        user, password = f"{name}-user", f"{name}-password"
        secrets |= {user: bucket.access_key, password: bucket.secret_key}
        authority = bucket.endpoint.ca_file
        config[name] = {
            "url": bucket.endpoint.url,
            "bucket": bucket.name,
            "region": bucket.region,
            "userFile": str(directory / user),
            "passwordFile": str(directory / password),
            **({"caFile": str(authority)} if authority else {}),
        }
    return Job(
        name=COPY,
        command=args.context.runtime.python(
            "pipeline.mirror", "save", "--config", str(directory / "mirror.json")
        ),
        files={"mirror.json": json.dumps(config, indent=2)},
        secret_files=secrets,
        connects_to=(OBJECT_STORE, BACKUP_STORE),
        timeout_s=COPY_TIMEOUT_S,
    )
