"""Versioning of a bucket. id: the bucket's name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import Live, Props
from plugins.kind import Fields, Kind

if TYPE_CHECKING:
    from plugins.minio.client import MinioClient

STATUSES = ("Enabled", "Suspended")


class S3BucketVersioning(Kind):
    KIND = "minio/S3BucketVersioning"
    REPLACE_ON = frozenset({"bucket"})

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("bucket", required=True)
        fields.nested("versioningConfiguration", _configuration, required=True)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["bucket"])

    def create(self, client: "MinioClient", spec: Props) -> Live:
        return self.update(client, spec["bucket"], {}, spec)

    def read(self, client: "MinioClient", id_: str, known: Props) -> Live | None:
        live = client.s3("get_bucket_versioning", id_, absent=("NoSuchBucket",))
        if live is None or live.status is None:
            return None
        configuration: Props = {"status": live.status}
        wanted = known.get("versioningConfiguration", {})
        if live.excluded_prefixes or "excludedPrefixes" in wanted:
            configuration["excludedPrefixes"] = sorted(live.excluded_prefixes or [])
        if live.exclude_folders or "excludeFolders" in wanted:
            configuration["excludeFolders"] = live.exclude_folders
        return Live(id=id_, inputs={"bucket": id_, "versioningConfiguration": configuration})

    def update(self, client: "MinioClient", id_: str, old: Props, spec: Props) -> Live:
        from minio.versioningconfig import VersioningConfig

        if not client.s3("bucket_exists", id_):
            raise LookupError(f"bucket {id_!r} is gone: run pulumi refresh, then up")
        wanted = spec["versioningConfiguration"]
        configuration = VersioningConfig(
            status=wanted["status"],
            excluded_prefixes=wanted.get("excludedPrefixes"),
            exclude_folders=wanted.get("excludeFolders", False),
        )
        with client.changing(id_):
            client.s3("set_bucket_versioning", id_, configuration)
        return Live(id=id_, inputs=spec)

    def delete(self, client: "MinioClient", id_: str, known: Props) -> None:
        """Suspends: S3 cannot return to `never versioned`. A bucket with object locking
        refuses even that (InvalidBucketState) and is left as it is."""
        from minio.versioningconfig import SUSPENDED, VersioningConfig

        unable = ("NoSuchBucket", "InvalidBucketState")
        with client.changing(id_):
            client.s3("set_bucket_versioning", id_, VersioningConfig(SUSPENDED), absent=unable)


def _configuration(fields: Fields) -> None:
    fields.text("status", required=True, among=STATUSES)
    fields.names("excludedPrefixes")
    fields.flag("excludeFolders", None)
