"""Credentials of a stack, each derived from one secret in its configuration.

`dataflow:seed` is generated when a stack is created and is the only secret that the
configuration holds. A derived credential is the same in preview and in up, needs no state of
its own, and changes when the seed does (HKDF, RFC 5869).
"""

from base64 import b32encode

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEED_KEY = "dataflow:seed"
# While credentials are replaced (operations/rotation.py): the seed that comes, then the one that
# was. Their authorities are trusted too, and nothing else follows from them.
NEXT_SEED_KEY, FORMER_SEED_KEY = "dataflow:nextSeed", "dataflow:formerSeed"
LENGTH_BYTES = 30  # 240 bits: 48 letters and digits, longer than the 42 that Superset asks for


def derive(seed: str, name: str) -> str:
    """The credential called `name`, such as `postgres-superuser`: 48 lower-case letters and
    digits, so it needs no quoting in a URL, a shell or a connection string."""
    key = HKDF(algorithm=SHA256(), length=LENGTH_BYTES, salt=None, info=name.encode())
    return b32encode(key.derive(seed.encode())).decode().lower()
