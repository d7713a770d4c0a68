"""Does a stored verifier belong to a password? Only a superuser can read verifiers."""

import base64
import hashlib
import hmac
import re

# RFC 5803, as in pg_authid.rolpassword
SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")


def matches(verifier: str | None, password: str, role: str) -> bool:
    if verifier is None:
        return False
    if not password.isascii():
        return True  # SASLprep might change it: better no drift than a false one
    if parts := SCRAM.fullmatch(verifier):
        salt = base64.b64decode(parts[2])
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(parts[1]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
        return hmac.compare_digest(stored, parts[3])
    md5 = hashlib.md5((password + role).encode(), usedforsecurity=False).hexdigest()
    return verifier == f"md5{md5}"
