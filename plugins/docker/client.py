"""The Docker Engine API over a unix socket or TCP; its errors say what to do next.

API reference: https://docs.docker.com/reference/api/engine/
"""

import base64
import io
import json
import os
import ssl
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from dynamic_providers.handler import InputError, Props
from dynamic_providers.waiting import wait_for
from plugins.kind import Fields, ServiceError

HOST = "unix:///var/run/docker.sock"
NEWEST_API = (1, 47)  # the newest that this client was written against; older ones are taken
CONNECT_RETRIES = 3
TIMEOUT_S = 60.0  # the engine answers late while it removes a large container
BUSY_S = 30.0  # how long something in use is asked for again: Docker frees networks late
HUB = "docker.io"
HUB_LOGIN = "https://index.docker.io/v1/"  # the name of Docker Hub in logins, by custom
Answer = TypeVar("Answer")


class DockerClient:
    """logins: registry host -> user, password."""

    def __init__(
        self,
        host: str,
        *,
        tls: ssl.SSLContext | None = None,
        logins: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.host = host
        self._logins = dict(logins or {})
        scheme, _, address = host.partition("://")
        socket = address if scheme == "unix" else None
        transport = httpx.HTTPTransport(uds=socket, verify=tls or True, retries=CONNECT_RETRIES)
        base = f"{'https' if tls else 'http'}://{'docker' if socket else address}"
        self._http = httpx.Client(base_url=base, transport=transport, timeout=TIMEOUT_S)
        self._version = ""

    def get(self, *path: str, **params: Any) -> Any:
        """JSON, or None when there is no such object."""
        return self.send("GET", *path, absent=(404,), **params)

    def send(
        self,
        method: str,
        *path: str,
        body: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        absent: tuple[int, ...] = (),
        timeout_s: float | None = TIMEOUT_S,
        **params: Any,
    ) -> Any:
        """JSON of the answer ({} if it has none); None for a status in `absent`.

        content: sent as a tar archive, in place of a JSON body. timeout_s: None for no end.
        Raises ServiceError for every other failure.
        """
        place = "/".join(quote(part, safe="") for part in path)
        answer = self._request(
            method,
            f"/v{self._api_version()}/{place}",
            params={k: v for k, v in params.items() if v is not None},
            json=body,
            content=content,
            headers={
                **(headers or {}),
                **({"Content-Type": "application/x-tar"} if content else {}),
            },
            timeout=timeout_s,
        )
        if answer.status_code in absent:
            return None
        if answer.status_code >= 400:
            raise self._refused(answer, f"{method} /{'/'.join(path)}")
        return _parsed(answer)

    def pull(self, image: str, platform: str | None) -> None:
        """Fetches an image; the engine tells of failures in the middle of its answer."""
        login = self._logins.get(registry_of(image))
        headers = {}
        if login:
            user, password = login
            address = registry_of(image)
            known = {
                "username": user,
                "password": password,
                "serveraddress": HUB_LOGIN if address == HUB else address,
            }
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(
                json.dumps(known).encode()
            ).decode()
        told = self.send(
            "POST",
            *("images", "create"),
            headers=headers,
            timeout_s=None,
            fromImage=image,
            platform=platform,
        )
        lines = told if isinstance(told, list) else [told]
        if failures := [line["error"] for line in lines if "error" in line]:
            raise ServiceError(f"image {image!r} cannot be pulled: {failures[-1]}")

    def logs(self, container: str, lines: int | str = "all") -> str:
        """What a container has printed: both streams in order."""
        answer = self._request(
            "GET",
            f"/v{self._api_version()}/containers/{quote(container, safe='')}/logs",
            params={"stdout": "true", "stderr": "true", "tail": str(lines)},
        )
        return b"".join(_frames(answer.content)).decode(errors="replace")

    def execute(
        self,
        container: str,
        command: Sequence[str],
        write: Callable[[bytes], Any],
        *,
        terminal: str = "",
    ) -> int:
        """Exit code of a command in a container that runs, as its user and with its environment.

        write: gets what the command prints, as soon as it does. terminal: what it takes its
        output for; without one it prints plain text.
        """
        described = {
            "Cmd": list(command),
            "Env": [f"TERM={terminal or 'dumb'}"],
            "Tty": True,
            "AttachStdout": True,
            "AttachStderr": True,
        }
        made = self.send("POST", "containers", container, "exec", body=described)
        path = f"/v{self._api_version()}/exec/{made['Id']}/start"
        body = {"Detach": False, "Tty": True}
        with self._http.stream("POST", path, json=body, timeout=None) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise self._refused(answer, f"POST {path}")
            for text in answer.iter_raw():
                write(text)
        return int(self.get("exec", made["Id"], "json")["ExitCode"])

    @contextmanager
    def files(self, container: str, path: str) -> Iterator[tarfile.TarFile | None]:
        """A file or folder of a container, as an archive to be read from its begin to its end;
        None when there is none. Raises ServiceError."""
        place = f"/v{self._api_version()}/containers/{quote(container, safe='')}/archive"
        with self._http.stream("GET", place, params={"path": path}, timeout=None) as answer:
            if answer.status_code == 404:
                yield None
                return
            if answer.status_code >= 400:
                answer.read()
                raise self._refused(answer, f"GET {place}")
            with tarfile.open(fileobj=_Readable(answer.iter_bytes()), mode="r|") as archive:
                yield archive

    def freed(self, remove: Callable[[], Any]) -> None:
        """Calls `remove` until the engine no longer says that the object is in use."""
        last: list[str] = []

        def attempt() -> bool | None:
            try:
                remove()
            except BusyError as busy:
                last[:] = [str(busy)]
                return None
            return True

        try:
            wait_for(attempt, BUSY_S, "removal")
        except TimeoutError:
            raise ServiceError(f"{last[0]}: remove by hand what still uses it") from None

    def _api_version(self) -> str:
        if not self._version:
            answer = self._request("GET", "/_ping")
            newest = answer.headers.get("Api-Version", "")
            if answer.status_code != 200 or not newest:
                raise ServiceError(f"docker at {self.host}: this is no Docker Engine")
            served = tuple(int(part) for part in newest.split("."))
            self._version = ".".join(str(part) for part in min(served, NEWEST_API))
        return self._version

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as fault:
            raise ServiceError(
                f"docker at {self.host}: {method} {path}: {type(fault).__name__}: {fault}: is the "
                "engine up, may this user open it, and is docker:host its address?"
            ) from None

    def _refused(self, answer: httpx.Response, call: str) -> ServiceError:
        try:
            text = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            text = answer.text[:500]
        # Networks with endpoints are 403, volumes and images in use are 409.
        busy = answer.status_code in (403, 409) and call.startswith("DELETE")
        kind = BusyError if busy else ServiceError
        return kind(f"docker at {self.host}: {call}: {answer.status_code}: {text.strip()}")


class _Readable(io.RawIOBase):
    """What an answer brings part by part, as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._parts)
            except StopIteration:
                return 0
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


class BusyError(ServiceError):
    """The object is in use, or its removal is under way."""


def registry_of(image: str) -> str:
    """Host of the registry that an image's name stands for."""
    first, slash, _ = image.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host else HUB


def _parsed(answer: httpx.Response) -> Any:
    """JSON; a list when the answer is a stream of JSON objects, one a line."""
    text = answer.text.strip()
    if not text or "json" not in answer.headers.get("Content-Type", "json"):
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _frames(content: bytes) -> Iterator[bytes]:
    """Texts of a log. Without a terminal each has 8 bytes before it: stream, 3 zeros, length."""
    while content:
        if content[0] > 2 or content[1:4] != b"\0\0\0":
            yield content  # of a terminal: no frames
            return
        length = int.from_bytes(content[4:8], "big")
        yield content[8 : 8 + length]
        content = content[8 + length :]


def connect(settings: Props) -> DockerClient:
    """Settings of pulumi_docker.Provider; DOCKER_HOST and DOCKER_CERT_PATH stand in for those
    that are not set, as with the official plugin."""
    fields = Fields(settings)
    host = fields.text("host", os.environ.get("DOCKER_HOST") or HOST, required=True)
    scheme, _, address = host.partition("://")
    if scheme not in ("unix", "tcp") or not address:
        raise InputError("host", f"{host!r}: expected unix:///path or tcp://host:port")
    ca, certificate = fields.text("caMaterial"), fields.text("certMaterial")
    key, folder = fields.secret("keyMaterial"), fields.text("certPath")
    folder = folder or os.environ.get("DOCKER_CERT_PATH")
    logins = _logins(settings.get("registryAuth"))
    fields.field("registryAuth", lambda value, at: value, None, False)
    fields.flag("disableDockerDaemonCheck", None)  # nothing is asked before it is needed
    fields.text("version")  # of the plugin: the engine adds it
    fields.text("pluginDownloadURL")
    fields.done()
    tls = None
    if scheme == "tcp" and (ca or certificate or key or folder):
        tls = _tls(ca, certificate, key, Path(folder) if folder else None)
    return DockerClient(host, tls=tls, logins=logins)


def _tls(
    ca: str | None, certificate: str | None, key: str | None, folder: Path | None
) -> ssl.SSLContext:
    if bool(certificate) != bool(key):
        raise InputError("keyMaterial" if certificate else "certMaterial", "is missing")
    try:
        if folder and not certificate:
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
            return context
        context = ssl.create_default_context(cadata=ca)
        if certificate and key:
            with _file(certificate) as cert_file, _file(key) as key_file:
                context.load_cert_chain(cert_file, key_file)
    except (OSError, ValueError) as fault:  # ssl's own errors are OSErrors
        field = "certPath" if folder and not certificate else "certMaterial"
        raise InputError(field, f"cannot be used: {fault}") from None
    return context


@contextmanager
def _file(text: str) -> Iterator[str]:
    """The ssl module reads keys from files only; this one nobody else can read."""
    with tempfile.NamedTemporaryFile("w", prefix="dataflow-") as file:
        file.write(text)
        file.flush()
        yield file.name


def _logins(raw: Any) -> dict[str, tuple[str, str]]:
    if isinstance(raw, str):  # the SDK sends lists as JSON text
        try:
            raw = json.loads(raw)
        except ValueError:
            raise InputError("registryAuth", "is not JSON") from None
    found: dict[str, tuple[str, str]] = {}
    for index, entry in enumerate(raw or []):
        login = Fields(entry, f"registryAuth[{index}]")
        address = login.text("address", required=True)
        user, password = login.text("username", required=True), login.secret("password")
        login.done()
        host = address.removeprefix("https://").rstrip("/")
        found[HUB if "index.docker.io" in host or "registry-1.docker.io" in host else host] = (
            user,
            password or "",
        )
    return found
