"""The newest version of every object of the lake's bucket."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from minio import Minio

from flow.derive import BUCKET
from operations.archive import SEALED
from operations.sealed import Keys, sealing, unsealing
from pipeline.objects import kept, put, reading

FILE = f"lake{SEALED}"
HEADERS = "DATAFLOW.headers"  # keyword of an extended header of the archive


class _Hashing:
    """A stream that knows the SHA-256 of what was read from it."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        text: bytes = self._source.read(None if size < 0 else size)
        self.digest.update(text)
        return text


def save(store: Minio, folder: Path, keys: Keys) -> dict[str, Any]:
    """What it holds: objects, bytes, and a checksum of names and contents."""
    digests: dict[str, str] = {}
    total = 0
    with (
        sealing(folder / FILE, keys) as sealed,
        tarfile.open(fileobj=cast(BinaryIO, sealed), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in _names(store):
            with reading(store, BUCKET, name) as answer:
                member = tarfile.TarInfo(name)
                member.size = int(answer.headers["Content-Length"])
                member.pax_headers = {HEADERS: json.dumps(kept(answer.headers))}
                content = _Hashing(answer)
                tar.addfile(member, cast(BinaryIO, content))
            digests[name] = content.digest.hexdigest()
            total += member.size
    return {"objects": len(digests), "bytes": total, "sha256": _checksum(digests)}


def load(store: Minio, folder: Path, keys: Keys) -> dict[str, Any]:
    """Puts every object back and reads it again. What the store holds of them, as `save`."""
    digests: dict[str, str] = {}
    total = 0
    with (
        unsealing(folder / FILE, keys) as sealed,
        tarfile.open(fileobj=cast(BinaryIO, sealed), mode="r|") as tar,
    ):
        for member in tar:
            content = tar.extractfile(member)
            if content is None:
                raise ValueError(f"object {member.name!r}: expected a file in the archive")
            headers = json.loads(member.pax_headers[HEADERS])
            put(store, BUCKET, member.name, content, member.size, headers)
            digests[member.name] = sha256(store, member.name)
            total += member.size
    return {"objects": len(digests), "bytes": total, "sha256": _checksum(digests)}


def copy(source: Minio, target: Minio, prefix: str) -> int:
    """Objects below `prefix` that `target` lacked, and now has."""
    there = set(_names(target, prefix))
    missing = [name for name in _names(source, prefix) if name not in there]
    for name in missing:
        with reading(source, BUCKET, name) as answer:
            size = int(answer.headers["Content-Length"])
            put(target, BUCKET, name, answer, size, kept(answer.headers))
    return len(missing)


def sha256(store: Minio, name: str) -> str:
    digest = hashlib.sha256()
    with reading(store, BUCKET, name) as answer:
        for part in answer.stream(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _names(store: Minio, prefix: str = "") -> Iterator[str]:
    for found in store.list_objects(BUCKET, prefix=prefix, recursive=True):
        yield str(found.object_name)


def _checksum(digests: dict[str, str]) -> str:
    lines = (f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
