"""The elasticstack plugin and a server that another authority than the machine's vouches for.

minio and postgresql leave it to their clients: see tests/engine/test_certificates.py.
"""

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from dynamic_providers.handler import InputError
from plugins.elasticstack.client import SearchClient, connect
from plugins.kind import ServiceError
from tests.fakes.serving import serving
from tests.support import tls
from tests.support.tls import write_certificate


@pytest.fixture
def files(tmp_path):
    return write_certificate(tmp_path)


@pytest.fixture
def url(files):
    app = Starlette(routes=[Route("/", lambda _: JSONResponse({"cluster_uuid": "c"}))])
    with serving(app, tls=files) as url:
        yield url


def client(url: str, **settings: str) -> SearchClient:
    return connect({"elasticsearch": {"endpoints": [url], **settings}})


def test_an_authority_is_given_as_text_or_as_a_file(url, files):
    for settings in (
        {"caData": tls.SIGNER.certificate},
        {"caFile": str(files.ca)},
        {"ca_data": tls.SIGNER.certificate},
    ):
        assert client(url, **settings).id_of("x") == "c/x"


def test_a_server_of_another_authority_is_refused(url, monkeypatch):
    monkeypatch.setattr("plugins.elasticstack.client.RETRY_DEADLINE_S", 0.0)
    with pytest.raises(ServiceError, match="CERTIFICATE_VERIFY_FAILED"):
        client(url, caData=tls.STRANGER.certificate).id_of("x")


def test_what_is_no_authority_is_named(url, tmp_path):
    with pytest.raises(InputError, match="elasticsearch.caData: no certificates"):
        client(url, caData="nothing")
    with pytest.raises(InputError, match="elasticsearch.caFile: no certificates"):
        client(url, caFile=str(tmp_path / "absent"))
