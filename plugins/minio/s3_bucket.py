"""Bucket, with its canned ACL and its quota. id: the bucket's name."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind, ServiceError, compact
from plugins.minio import policy

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient

ACLS = ("private", "public-read")
NAME_RULE = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3: 3 to 63 characters


class S3Bucket(Kind):
    KIND = "minio/S3Bucket"
    REPLACE_ON = frozenset({"bucket", "objectLocking"})
    COMPUTED = frozenset({"arn", "bucketDomainName"})
    STABLE = COMPUTED
    NAME = "bucket"
    NAME_PREFIX = "bucketPrefix"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("bucketPrefix")
        name = fields.text("bucket", required=True)
        if name != UNKNOWN and not NAME_RULE.fullmatch(name):
            raise InputError(
                "bucket",
                f"{name!r}: expected 3 to 63 lower-case letters, digits, hyphens and dots",
            )
        fields.text("acl", "private", among=ACLS)
        fields.flag("forceDestroy", False)
        fields.flag("objectLocking", False)
        fields.integer("quota")
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["bucket"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        bucket = spec["bucket"]
        client.s3(
            "make_bucket",
            bucket,
            object_lock=spec["objectLocking"],
            absent=("BucketAlreadyOwnedByYou",),
        )
        if spec["objectLocking"] != _locked(client, bucket):
            raise InputError(
                "objectLocking",
                f"bucket {bucket!r} exists with another setting, which cannot be changed: "
                "choose another name, or set the live value",
            )
        return self.update(client, bucket, {}, spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        if not client.s3("bucket_exists", id_):
            return None
        inputs = {
            "bucket": id_,
            "acl": _acl(client, id_, known.get("acl", "private")),
            "forceDestroy": known.get("forceDestroy", False),  # only this plugin's
            "objectLocking": _locked(client, id_),
        }
        quota = (client.admin("bucket_quota_get", id_) or {}).get("quota", 0)
        if quota or "quota" in known:
            inputs["quota"] = quota
        if "bucketPrefix" in known:
            inputs["bucketPrefix"] = known["bucketPrefix"]
        outputs = {
            "arn": f"arn:aws:s3:::{id_}",
            "bucketDomainName": f"{client.url}/minio/{id_}",
        }
        return Live(id=id_, inputs=inputs, outputs=outputs)

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        live = self.read(client, id_, spec)
        if live is None:
            raise LookupError(f"bucket {id_!r} is gone: run pulumi refresh, then up")
        with client.changing(id_):
            _bring(client, id_, live.inputs, old, spec)
        return Live(id=id_, inputs=spec, outputs=live.outputs)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        if not client.s3("bucket_exists", id_):
            return
        if known.get("forceDestroy"):
            _empty(client, id_)
        elif any(True for _ in client.s3("list_objects", id_, include_version=True)):
            raise ServiceError(
                f"bucket {id_!r} holds objects: set forceDestroy to true and run pulumi up "
                "first, if they may be lost"
            )
        client.s3("remove_bucket", id_, absent=("NoSuchBucket",))


def _bring(client: "MinioClient", bucket: str, live: Props, old: Props, spec: Props) -> None:
    # A policy that S3BucketPolicy holds stays, unless the ACL itself was changed.
    if spec["acl"] != live["acl"] or old.get("acl", spec["acl"]) != spec["acl"]:
        if spec["acl"] == "public-read":
            client.s3("set_bucket_policy", bucket, policy.public_read(bucket))
        else:
            client.s3("delete_bucket_policy", bucket, absent=("NoSuchBucketPolicy",))
    quota = spec.get("quota", 0)
    if quota != live.get("quota", 0):
        client.admin("bucket_quota_set", bucket, quota)


def _acl(client: "MinioClient", bucket: str, known: str) -> str:
    text = client.s3("get_bucket_policy", bucket, absent=("NoSuchBucketPolicy",))
    if text is None:
        return "private"
    if compact(policy.canonical(json.loads(text))) == policy.public_read(bucket):
        return "public-read"
    return known  # a policy of another shape belongs to S3BucketPolicy


def _locked(client: "MinioClient", bucket: str) -> bool:
    missing = ("ObjectLockConfigurationNotFoundError",)
    return client.s3("get_object_lock_config", bucket, absent=missing) is not None


def _empty(client: "MinioClient", bucket: str) -> None:
    from minio.deleteobjects import DeleteObject

    versions = client.s3("list_objects", bucket, recursive=True, include_version=True)
    doomed = (DeleteObject(item.object_name, item.version_id) for item in versions)
    for error in client.s3("remove_objects", bucket, doomed, bypass_governance_mode=True):
        raise ServiceError(f"bucket {bucket!r}: object {error.name!r}: {error.message}")
