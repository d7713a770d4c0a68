"""A registry of images on loopback, read without TLS: as far as pulling needs one.

API: https://distribution.github.io/distribution/spec/api/
"""

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """login: user and password that every call needs, or None."""

    def __init__(self, server: ThreadingHTTPServer, login: tuple[str, str] | None) -> None:
        self.address = f"127.0.0.1:{server.server_address[1]}"
        self.login = login
        self.contents: dict[str, tuple[str, bytes]] = {}  # last part of a path -> type, content

    def push(self, tag: str, archive: bytes, config: dict[str, object]) -> str:
        """Digest of the manifest of an image whose one layer is the tar archive."""
        layer = gzip.compress(archive, mtime=0)
        image = {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]},
        }
        parts = {
            "application/vnd.docker.container.image.v1+json": json.dumps(image).encode(),
            "application/vnd.docker.image.rootfs.diff.tar.gzip": layer,
        }
        described = [
            {"mediaType": kind, "size": len(content), "digest": self._keep(kind, content)}
            for kind, content in parts.items()
        ]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described[0],
                "layers": described[1:],
            }
        ).encode()
        self.contents[tag] = (MANIFEST, manifest)
        return self._keep(MANIFEST, manifest)

    def _keep(self, kind: str, content: bytes) -> str:
        digest = _digest(content)
        self.contents[digest] = (kind, content)
        return digest


@contextmanager
def running_registry(login: tuple[str, str] | None = None, port: int = 0) -> Iterator[Registry]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            kind, content = registry.contents.get(self.path.rpartition("/")[2], ("", b""))
            status = 200 if kind or self.path == "/v2/" else 404
            if login and self.headers.get("Authorization") != _basic(login):
                status, content = 401, b""
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
            if kind and status == 200:
                self.send_header("Content-Type", kind)
                self.send_header("Docker-Content-Digest", _digest(content))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing: the engine's log tells what it asked for."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    registry = Registry(server, login)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()
