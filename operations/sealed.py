"""Files that only the holder of a stack's seed can read, and that nobody changes unseen.

AES-256-GCM over chunks, each with its number and whether it is the last one in the nonce, so that
chunks cannot be swapped, repeated or cut off (the STREAM construction, Hoang and others, 2015).
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
KEY_BYTES = 32
SALT_BYTES = 16


class SealError(ValueError):
    """A sealed file that was damaged or cut off, or another seed's."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one backup. salt: its own, so that no two backups share a key."""

    seed: str = field(repr=False)
    salt: bytes

    def key(self, purpose: str) -> bytes:
        info = f"dataflow backup: {purpose}".encode()
        return HKDF(SHA256(), KEY_BYTES, self.salt, info).derive(self.seed.encode())

    def signature(self, text: str) -> str:
        return hmac.digest(self.key("signature"), text.encode(), hashlib.sha256).hex()


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class _Writer:
    def __init__(self, out: BinaryIO, key: bytes) -> None:
        self._out, self._cipher = out, AESGCM(key)
        self._number = 0
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        self._pending += data
        while len(self._pending) > CHUNK_BYTES:  # not >=: the last chunk is not known yet
            self._chunk(bytes(self._pending[:CHUNK_BYTES]), last=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def finish(self) -> None:
        self._chunk(bytes(self._pending), last=True)

    def _chunk(self, text: bytes, *, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last), text, None))
        self._number += 1


class _Reader:
    def __init__(self, source: BinaryIO, key: bytes, name: str) -> None:
        self._source, self._cipher, self._name = source, AESGCM(key), name
        self._number = 0
        self._next = source.read(CHUNK_BYTES + TAG_BYTES)
        self._text = b""
        self._done = False

    def read(self, size: int = -1) -> bytes:
        while not self._done and (size < 0 or len(self._text) < size):
            self._text += self._chunk()
        wanted = len(self._text) if size < 0 else size
        text, self._text = self._text[:wanted], self._text[wanted:]
        return text

    def _chunk(self) -> bytes:
        sealed, self._next = self._next, self._source.read(CHUNK_BYTES + TAG_BYTES)
        self._done = not self._next
        try:
            text = self._cipher.decrypt(_nonce(self._number, self._done), sealed, None)
        except InvalidTag:
            raise SealError(
                f"{self._name}: cannot be opened: it is damaged, or sealed with another seed"
            ) from None
        self._number += 1
        return text


@contextmanager
def sealing(path: Path, keys: Keys) -> Iterator[_Writer]:
    """What is written goes sealed into a new file, readable by its owner alone."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        writer = _Writer(out, keys.key(path.name))
        yield writer
        writer.finish()


@contextmanager
def unsealing(path: Path, keys: Keys) -> Iterator[_Reader]:
    """Reading raises SealError where the file is not as it was written."""
    with path.open("rb") as source:
        yield _Reader(source, keys.key(path.name), path.name)
