"""Users and login tokens. In the Community edition every user is an administrator."""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
import uuid
from dataclasses import asdict, dataclass, replace

from embedded.dremio.errors import conflict, invalid, not_found
from embedded.dremio.storage.store import Store

TOKEN_TTL_MS = 30 * 3600 * 1000  # the product's login tokens live 30 hours
SCRYPT_COST = {"n": 2**14, "r": 8, "p": 1}
PASSWORD_RULE = (
    "Invalid password: must be at least 8 letters long, "  # noqa: S105 (a message)
    "must contain at least one number and one letter"
)


@dataclass(frozen=True, kw_only=True)
class User:
    """created_at: ms since 1970. password: salt and scrypt hash, in hexadecimal."""

    id: str
    name: str
    first_name: str
    last_name: str
    email: str
    created_at: int
    password: str
    tag: str

    def body(self) -> dict[str, object]:
        return {
            "@type": "EnterpriseUser",
            "id": self.id,
            "name": self.name,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "email": self.email,
            "tag": self.tag,
            "active": True,
        }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _hash(password: str, salt: bytes) -> str:
    digest = hashlib.scrypt(password.encode(), salt=salt, **SCRYPT_COST)
    return f"{salt.hex()}:{digest.hex()}"


class Users:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._users = {id_: User(**body) for id_, body in store.all("user").items()}
        self._tokens = store.all("token")
        for digest, token in list(self._tokens.items()):
            if token["expires"] < now_ms():
                self._forget(digest)

    def empty(self) -> bool:
        return not self._users

    def names(self) -> list[str]:
        return sorted(user.name for user in self._users.values())

    def get(self, id_: str) -> User:
        with self._lock:
            if user := self._users.get(id_):
                return user
        raise not_found(f"User with id [{id_}] could not be found.")

    def by_name(self, name: str) -> User:
        with self._lock:
            for user in self._users.values():
                if user.name.lower() == name.lower():
                    return user
        raise not_found(f"User [{name}] not found.")

    def add(self, name: str, password: str, first: str, last: str, email: str) -> User:
        if not name or '"' in name or "/" in name:
            raise invalid(f"Invalid user name [{name}]")
        if (
            len(password) < 8
            or not re.search(r"\d", password)
            or not re.search("[A-Za-z]", password)
        ):
            raise invalid(PASSWORD_RULE)
        with self._lock:
            if any(user.name.lower() == name.lower() for user in self._users.values()):
                raise conflict(f"User [{name}] already exists.")
            user = User(
                id=str(uuid.uuid4()),
                name=name,
                first_name=first,
                last_name=last,
                email=email,
                created_at=now_ms(),
                password=_hash(password, secrets.token_bytes(16)),
                tag=secrets.token_urlsafe(8),
            )
            self._save(user)
            return user

    def change(
        self, id_: str, *, name: str, tag: str, first: str, last: str, email: str, password: str
    ) -> User:
        """Empty password: unchanged."""
        with self._lock:
            user = self.get(id_)
            if name.lower() != user.name.lower():
                raise invalid("Renaming users is not supported.")
            if tag != user.tag:
                raise conflict(f"User [{name}] has been modified; its tag is not [{tag}].")
            if password and (len(password) < 8 or not re.search(r"\d", password)):
                raise invalid(PASSWORD_RULE)
            hashed = _hash(password, secrets.token_bytes(16)) if password else user.password
            user = replace(
                user,
                first_name=first,
                last_name=last,
                email=email,
                password=hashed,
                tag=secrets.token_urlsafe(8),
            )
            self._save(user)
            return user

    def log_in(self, name: str, password: str) -> tuple[User, str, int] | None:
        """(user, token, expiry in ms since 1970), or None when refused."""
        with self._lock:
            found = [user for user in self._users.values() if user.name.lower() == name.lower()]
        # An unknown name costs the same time as a wrong password, so names cannot be probed.
        stored = found[0].password if found else _hash("", b"0" * 16)
        salt = bytes.fromhex(stored.split(":")[0])
        if not hmac.compare_digest(_hash(password, salt), stored) or not found:
            return None
        token = secrets.token_urlsafe(32)
        expires = now_ms() + TOKEN_TTL_MS
        digest = _digest(token)
        with self._lock:
            self._tokens[digest] = {"user": found[0].id, "expires": expires}
            self._store.put("token", digest, self._tokens[digest])
        return found[0], token, expires

    def log_out(self, token: str) -> None:
        self._forget(_digest(token))

    def by_token(self, token: str) -> User | None:
        digest = _digest(token)
        with self._lock:
            known = self._tokens.get(digest)
            if known is None:
                return None
            if known["expires"] < now_ms():
                self._forget(digest)
                return None
            return self._users.get(known["user"])

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._tokens.pop(digest, None)
            self._store.delete("token", digest)

    def _save(self, user: User) -> None:
        self._users[user.id] = user
        self._store.put("user", user.id, asdict(user))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def parse_authorization(header: str) -> str:
    """The token in an Authorization header: `Bearer <token>` in any case, `_dremio<token>`, or
    the bare token."""
    header = header.strip()
    if header[:7].lower() == "bearer ":
        header = header[7:].strip()
    return header.removeprefix("_dremio")


def parse_basic(header: str) -> tuple[str, str] | None:
    """(user, password) of a Basic header, or None. ADBC sends base64 without padding."""
    if header[:6].lower() != "basic ":
        return None
    text = header[6:].strip()
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None
    name, separator, password = decoded.partition(":")
    return (name, password) if separator else None
