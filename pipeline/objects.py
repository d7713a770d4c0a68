"""Objects of an S3 service, whole: their bytes as they are stored, and what is said about them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from minio import Minio

TYPE = "Content-Type"
USER_METADATA = "x-amz-meta-"
KEPT = {name.lower(): name for name in (TYPE, "Content-Encoding")}


@contextmanager
def reading(client: Minio, bucket: str, name: str, version: str = "") -> Iterator[Any]:
    """The answer that holds an object. version: "" for the newest."""
    answer: Any = client.get_object(bucket, name, version_id=version or None)
    answer.decode_content = False
    try:
        yield answer
    finally:
        answer.close()
        answer.release_conn()


def kept(headers: Any) -> dict[str, str]:
    """Of such an answer: the object's type and encoding, and the user's metadata."""
    found = {key.lower(): value for key, value in headers.items()}
    return {
        KEPT.get(key, key): value
        for key, value in found.items()
        if key in KEPT or key.startswith(USER_METADATA)
    }


def put(
    client: Minio, bucket: str, name: str, content: Any, size: int, headers: Mapping[str, str]
) -> None:
    """headers: as `kept` gives them. One part after the other, so that one is in memory."""
    client.put_object(
        bucket,
        name,
        content,
        size,
        content_type=headers.get(TYPE, "application/octet-stream"),
        metadata={key: value for key, value in headers.items() if key != TYPE},
        num_parallel_uploads=1,
    )
