# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Objects of an S3-compatible store: list and delete. DuckDB reads and writes their content."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import minio
import urllib3
from minio.deleteobjects import DeleteObject
from minio.error import MinioException

from embedded.dremio.errors import EngineError, Kind

TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Connection:
    """endpoint: host:port without a scheme. Empty keys: anonymous."""

    endpoint: str
    secure: bool
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Object:
    """size: bytes."""

    key: str
    size: int
    etag: str
    is_folder: bool = False


@contextmanager
def _errors(action: str) -> Iterator[None]:
    try:
        yield
    except minio.S3Error as fault:
        kind = Kind.PERMISSION if fault.code == "AccessDenied" else Kind.IO
        raise EngineError(kind, f"{action}: {fault.code}: {fault.message}") from None
    except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as fault:
        raise EngineError(Kind.IO, f"{action}: {type(fault).__name__}") from None


class ObjectStore:
    def __init__(self, connection: Connection) -> None:
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S),
            retries=urllib3.Retry(total=2, backoff_factor=0.1),
        )
        with _errors(f"endpoint {connection.endpoint}"):
            self._client = minio.Minio(
                connection.endpoint,
                access_key=connection.access_key or None,
                secret_key=connection.secret_key or None,
                secure=connection.secure,
                region="us-east-1",  # else each bucket costs a call to ask for its region
                http_client=pool,
            )

    def buckets(self) -> list[str]:
        with _errors("list buckets"):
            return [bucket.name for bucket in self._client.list_buckets()]

    def check(self, bucket: str) -> None:
        """Raises EngineError unless the bucket can be listed."""
        for _ in self.list(bucket, "", recursive=False):
            return

    def list(self, bucket: str, prefix: str, *, recursive: bool) -> Iterator[Object]:
        with _errors(f"list s3://{bucket}/{prefix}"):
            for item in self._client.list_objects(bucket, prefix=prefix, recursive=recursive):
                yield Object(
                    str(item.object_name), item.size or 0, item.etag or "", bool(item.is_dir)
                )

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        with _errors(f"delete from s3://{bucket}"):
            failed = list(self._client.remove_objects(bucket, [DeleteObject(key) for key in keys]))
        if failed:
            raise EngineError(Kind.IO, f"delete s3://{bucket}/{failed[0].name}: {failed[0].code}")
