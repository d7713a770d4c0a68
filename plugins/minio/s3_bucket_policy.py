"""Policy of a bucket. id: the bucket's name."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.kind import Fields, Kind, compact
from plugins.minio.policy import canonical

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient


class S3BucketPolicy(Kind):
    KIND = "minio/S3BucketPolicy"
    REPLACE_ON = frozenset({"bucket"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("bucket", required=True)
        fields.document("policy", canonical, required=True)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["bucket"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        return self.update(client, spec["bucket"], {}, spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        missing = ("NoSuchBucketPolicy", "NoSuchBucket")
        text = client.s3("get_bucket_policy", id_, absent=missing)
        if text is None:
            return None
        return Live(id=id_, inputs={"bucket": id_, "policy": compact(canonical(json.loads(text)))})

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        if not client.s3("bucket_exists", id_):
            raise LookupError(f"bucket {id_!r} is gone: run pulumi refresh, then up")
        with client.changing(id_):
            client.s3("set_bucket_policy", id_, spec["policy"])
        return Live(id=id_, inputs=spec)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        missing = ("NoSuchBucketPolicy", "NoSuchBucket")
        with client.changing(id_):
            client.s3("delete_bucket_policy", id_, absent=missing)
