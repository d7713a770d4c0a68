"""Digests are what a registry tells: looked up, written, and compared."""

import re
import shutil
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.images import FILE, load
from tests.fakes.serving import serving
from tools import images
from tools.images import RegistryError

NEW = "sha256:" + "a" * 64


class Registry:
    """Asks for a token first, as public registries do; knows minio alone."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.app = Starlette(
            routes=[
                Route("/token", self._token),
                Route("/v2/{name:path}/manifests/{version}", self._manifest, methods=["HEAD"]),
            ]
        )

    async def _token(self, request: Request) -> Response:
        return JSONResponse({"token": f"for {request.query_params['scope']}"})

    async def _manifest(self, request: Request) -> Response:
        name = request.path_params["name"]
        scope = f"repository:{name}:pull"
        if request.headers.get("Authorization") != f"Bearer for {scope}":
            realm = request.url.replace(path="/token")
            challenge = f'Bearer realm="{realm}",service="test",scope="{scope}"'
            return Response(status_code=401, headers={"WWW-Authenticate": challenge})
        if "index" not in request.headers["Accept"] or name != "pgsty/minio":
            return Response(status_code=404)
        return Response(headers={"Docker-Content-Digest": self.digest})


@pytest.fixture
def file(tmp_path) -> Path:
    """images.yaml with all registries replaced by one that serves on this machine."""
    with serving(Registry(NEW).app) as url:
        copy = tmp_path / "images.yaml"
        shutil.copy(FILE, copy)
        host = url.removeprefix("http://")
        text, count = re.subn(
            r"(repository: )[a-z.]+\.(io|co)/", rf"\g<1>{host}/", copy.read_text()
        )
        assert count == len([i for i in load().values() if "." in i.repository.split("/")[0]])
        copy.write_text(text)
        yield copy


def test_a_digest_is_looked_up_and_written_where_it_stands(file):
    before = load(file)
    (line,) = images.update(["minio"], file)
    assert line == f"minio: {before['minio'].digest} -> {NEW}"
    after = load(file)
    assert after["minio"].digest == NEW
    assert {name: after[name] for name in after if name != "minio"} == {
        name: before[name] for name in before if name != "minio"
    }
    assert list(images.update(["minio"], file)) == []  # nothing changes twice
    assert file.read_text().count("#") == FILE.read_text().count("#")


def test_an_image_without_a_digest_gets_one(file):
    file.write_text(file.read_text().replace(load(file)["minio"].digest, '""'))
    assert any("minio: has no digest" in fault for fault in images.faults(file))
    list(images.update(["minio"], file))
    assert load(file)["minio"].digest == NEW
    assert not any("minio" in fault for fault in images.faults(file))


def test_a_moved_version_and_a_missing_one_are_told(file):
    told = list(images.faults(file))
    assert any(fault.startswith("minio: RELEASE.") and NEW in fault for fault in told)
    assert any(fault.startswith("prometheus: ") and "status 404" in fault for fault in told)
    with pytest.raises(RegistryError, match="prometheus: .*status 404, no digest"):
        list(images.update(["prometheus"], file))
    with pytest.raises(RegistryError, match="image 'oracle': expected one of dataflow"):
        list(images.update(["oracle"], file))
