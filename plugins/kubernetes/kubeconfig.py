"""Which API to talk to, and as whom: one context of a kubeconfig.

Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from dynamic_providers.api import Session, SessionAuth
from dynamic_providers.handler import InputError, Props
from plugins.kind import ServiceError

DEFAULT_NAMESPACE = "default"
COMMAND_TIMEOUT_S = 60.0
TOKEN_LIFE_S = 600.0  # of a token whose end is not told: token files are renewed in place
SAFETY_S = 60.0  # a token is renewed this long before it ends


@dataclass(frozen=True, kw_only=True)
class Access:
    server: str
    namespace: str
    tls: ssl.SSLContext = field(repr=False)
    auth: httpx.Auth | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def access(text: str | None, context: str | None, cluster: str | None) -> Access:
    """text: a kubeconfig, or the path of one; without it $KUBECONFIG, then ~/.kube/config.

    Raises InputError.
    """
    config, folder = _load(text)
    name = context or config.get("current-context")
    if not name:
        raise InputError("context", "is missing, and the kubeconfig names no current one")
    chosen = _named(config, "contexts", "context", name, "context")
    server = _named(config, "clusters", "cluster", cluster or chosen.get("cluster"), "cluster")
    user = _named(config, "users", "user", chosen.get("user"), "kubeconfig")
    if not server.get("server"):
        raise InputError("kubeconfig", f"the cluster of context {name!r} has no server")
    credential = _Credential(user, folder)
    return Access(
        server=server["server"],
        namespace=chosen.get("namespace") or DEFAULT_NAMESPACE,
        tls=_tls(server, user, folder),
        auth=credential if credential.is_needed else None,
        secrets=tuple(v for k, v in user.items() if k in ("token", "password") and v),
    )


def _load(text: str | None) -> tuple[Props, Path]:
    """The kubeconfig and the folder that its relative paths start from."""
    if text is None:
        first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        text = first or str(Path.home() / ".kube/config")
    folder = Path.cwd()
    if "\n" not in text and not text.lstrip().startswith("{"):
        path = Path(text).expanduser()
        try:
            text, folder = path.read_text(), path.resolve().parent
        except OSError as error:
            raise InputError(
                "kubeconfig", f"{str(path)!r}: {error.strerror}: expected a kubeconfig or its path"
            ) from None
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        config = None  # the parser's words may repeat a secret
    if not isinstance(config, dict):
        raise InputError("kubeconfig", "is neither YAML nor JSON")
    return config, folder


def _named(config: Props, section: str, part: str, name: Any, setting: str) -> Props:
    entries = {entry.get("name"): entry.get(part) or {} for entry in config.get(section) or ()}
    if name not in entries:
        known = ", ".join(sorted(map(str, entries))) or "none"
        raise InputError(setting, f"{name!r}: the kubeconfig has no such {part}, but {known}")
    return dict(entries[name])


def _tls(server: Props, user: Props, folder: Path) -> ssl.SSLContext:
    try:
        authority = _content(server, "certificate-authority", folder)
        tls = ssl.create_default_context(cadata=authority)
        if server.get("insecure-skip-tls-verify"):
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        certificate = _content(user, "client-certificate", folder)
        key = _content(user, "client-key", folder)
        if certificate and key:
            _present(tls, certificate, key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError("kubeconfig", f"has a certificate that cannot be used: {error}") from None
    return tls


def _content(entry: Props, name: str, folder: Path) -> str | None:
    """Of `name-data`, or of the file `name`."""
    if data := entry.get(f"{name}-data"):
        return base64.b64decode(data).decode()
    path = entry.get(name)
    return (folder / path).read_text() if path else None


def _present(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    # Python's ssl reads them from files alone: in a folder of our own, gone at once.
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "client.pem"
        file.touch(mode=0o600)
        file.write_text(f"{certificate}\n{key}\n")
        tls.load_cert_chain(file)


class _Credential(SessionAuth):
    """A bearer token: fixed, from a file, or from a command, as clouds have it."""

    def __init__(self, user: Mapping[str, Any], folder: Path) -> None:
        super().__init__()
        self._user = user
        self._folder = folder
        self._asking = threading.Lock()

    @property
    def is_needed(self) -> bool:
        return any(self._user.get(key) for key in ("token", "tokenFile", "exec"))

    def log_in(self) -> Generator[httpx.Request, httpx.Response, Session | None]:
        token, ends_at_s = self._token()
        return Session({"Authorization": f"Bearer {token}"}, ends_at_s)
        yield  # a log-in without a call is a generator all the same

    def _token(self) -> tuple[str, float]:
        now = time.monotonic()
        if token := self._user.get("token"):
            return str(token), float("inf")
        if path := self._user.get("tokenFile"):
            return (self._folder / path).read_text().strip(), now + TOKEN_LIFE_S
        with self._asking:
            status = _ask(self._user["exec"], self._folder)
        life_s = TOKEN_LIFE_S
        if end := status.get("expirationTimestamp"):
            ends = datetime.fromisoformat(end.replace("Z", "+00:00"))
            life_s = ends.timestamp() - time.time() - SAFETY_S
        return str(status["token"]), now + life_s


def _ask(command: Props, folder: Path) -> Props:
    """The status of the ExecCredential that the command prints."""
    name = str(command.get("command"))
    program = str(folder / name) if "/" in name else name
    version = command.get("apiVersion")
    environment = {entry["name"]: entry["value"] for entry in command.get("env") or ()}
    question = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        done = subprocess.run(  # noqa: S603 - the kubeconfig's own command, no shell
            [program, *(command.get("args") or ())],
            env={**os.environ, **environment, "KUBERNETES_EXEC_INFO": json.dumps(question)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"kubeconfig: {name}, which gives the token: {error}") from None
    try:
        status = json.loads(done.stdout)["status"]
        if not status.get("token"):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ServiceError(
            f"kubeconfig: {name} gave no token (exit status {done.returncode}): "
            f"{done.stderr.strip()[:500]}"
        ) from None
    return dict(status)
