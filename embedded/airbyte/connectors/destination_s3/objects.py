"""The bucket: complete objects with their generation, and the removal of older ones."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from embedded.airbyte.connectors.destination_s3.settings import MIB, Settings
from embedded.airbyte.connectors.runtime import ConnectorError
from embedded.airbyte.protocol import StreamKey

PART_BYTES = 64 * MIB  # of a multipart upload
GENERATION = "ab-generation-id"  # as in Airbyte's own connector
STREAM = "ab-stream"  # which stream an object belongs to: paths alone do not always tell
TIMEOUT_S = 60.0
RETRIES = 3

_CONFIG_CODES = frozenset(
    {
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "NoSuchBucket",
        "AuthorizationHeaderMalformed",
        "InvalidBucketName",
        "AccountProblem",
    }
)


class Objects:
    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.bucket
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(TIMEOUT_S),
            retries=urllib3.Retry(
                total=RETRIES, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]
            ),
        )
        self._client = Minio(
            endpoint=settings.host,
            access_key=settings.access_key or None,
            secret_key=settings.secret_key or None,
            region=settings.region or None,
            secure=settings.tls,
            http_client=pool,
        )

    def put(self, key: str, path: Path, content_type: str, metadata: Mapping[str, str]) -> None:
        """Uploads a file. The object appears at once and whole, or not at all."""
        self._client.fput_object(
            bucket_name=self._bucket,
            object_name=key,
            file_path=str(path),
            content_type=content_type,
            metadata=dict(metadata),
            part_size=PART_BYTES,
        )

    def exists(self, key: str) -> bool:
        return self._stat(key) is not None

    def remove_older(self, prefix: str, stream: StreamKey, generation_id: int) -> int:
        """Removes the stream's objects of generations before `generation_id`; their number.

        Objects that this connector did not write carry no generation and stay.
        """
        mine = stream_metadata(stream)
        old: list[str] = []
        for key in self._keys(prefix):
            found = self._stat(key) or {}
            if found.get(STREAM) == mine and int(found.get(GENERATION, "-1")) < generation_id:
                old.append(key)
        for error in self._client.remove_objects(
            bucket_name=self._bucket, delete_object_list=[DeleteObject(key) for key in old]
        ):
            raise ConnectorError(f"{error.name}: not deleted: {error.code}", "transient_error")
        return len(old)

    def check(self, prefix: str) -> None:
        """Writes, reads, lists and deletes an object. Raises ConnectorError or MinioException."""
        if not self._client.bucket_exists(bucket_name=self._bucket):
            raise ConnectorError(f"s3_bucket_name: {self._bucket!r}: no such bucket")
        key = f"{prefix}_airbyte_connection_test_{uuid4()}"
        self._client.put_object(
            bucket_name=self._bucket, object_name=key, data=io.BytesIO(b"test"), length=4
        )
        try:
            if key not in self._keys(key) or self._stat(key) is None:
                raise ConnectorError(f"{key}: written, but not listed")
        finally:
            self._client.remove_object(bucket_name=self._bucket, object_name=key)

    def _keys(self, prefix: str) -> Iterator[str]:
        for found in self._client.list_objects(
            bucket_name=self._bucket, prefix=prefix, recursive=True
        ):
            if found.object_name:
                yield found.object_name

    def _stat(self, key: str) -> dict[str, str] | None:
        """User metadata without the x-amz-meta- prefix, or None when there is no object."""
        try:
            found = self._client.stat_object(bucket_name=self._bucket, object_name=key)
        except S3Error as fault:
            if fault.code in ("NoSuchKey", "NoSuchObject"):
                return None
            raise
        raw: Mapping[str, Any] = found.metadata or {}
        prefix = "x-amz-meta-"
        return {
            name.lower().removeprefix(prefix): str(value)
            for name, value in raw.items()
            if name.lower().startswith(prefix)
        }


def stream_metadata(stream: StreamKey) -> str:
    """Metadata values are ASCII."""
    namespace, name = stream
    return f"{quote(namespace or '', safe='')}/{quote(name, safe='')}"


def classify(fault: Exception) -> ConnectorError | None:
    """The user's view of a failure of the store."""
    if isinstance(fault, S3Error):
        kind = "config_error" if fault.code in _CONFIG_CODES else "transient_error"
        return ConnectorError(f"S3: {fault.code}: {fault.message}", kind)
    if isinstance(fault, MinioException | urllib3.exceptions.HTTPError):
        return ConnectorError(f"Could not reach the object store: {fault}", "transient_error")
    return None
