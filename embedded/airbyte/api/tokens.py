"""Bearer tokens of the client-credentials grant. Kept in memory: clients ask again after a 401."""

import hmac
import secrets
import threading
import time

LIFETIME_S = 900


class Tokens:
    """Thread-safe."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self, client_id: str, client_secret: str) -> str | None:
        """A token, or None for wrong credentials."""
        same_id = hmac.compare_digest(client_id.encode(), self._client_id.encode())
        same_secret = hmac.compare_digest(client_secret.encode(), self._client_secret.encode())
        if not (same_id and same_secret):
            return None
        return self.mint()

    def mint(self) -> str:
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._lock:
            self._expiry = {t: end for t, end in self._expiry.items() if end > now}
            self._expiry[token] = now + LIFETIME_S
        return token

    def valid(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        with self._lock:
            return self._expiry.get(token, 0.0) > time.monotonic()
