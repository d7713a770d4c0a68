"""Clients of the real services, one for each plugin, and of what stands in for their APIs that
cannot run here."""

from collections.abc import Iterator

import pytest

from plugins.docker.plugin import PLUGIN as DOCKER
from plugins.elasticstack.plugin import PLUGIN as ELASTICSTACK
from plugins.kubernetes.plugin import PLUGIN as KUBERNETES
from plugins.minio.plugin import PLUGIN as MINIO
from plugins.postgresql.plugin import PLUGIN as POSTGRESQL
from tests.docker_fixtures import Engine
from tests.fakes.elasticsearch import Elasticsearch
from tests.fakes.serving import serving
from tests.kubernetes_fixtures import Cluster
from tests.services_fixtures import Server

PLUGINS = {plugin.name: plugin for plugin in (MINIO, POSTGRESQL, ELASTICSTACK, DOCKER, KUBERNETES)}
FIXTURES = {
    "minio": "minio_server",
    "postgresql": "postgres_server",
    "elasticstack": "elasticsearch_server",
    "docker": "docker_engine",
    "kubernetes": "kubernetes_cluster",
    "elasticstack:index/indexLifecycle:IndexLifecycle": "life_cycles",
    "elasticstack:index/snapshotLifecycle:SnapshotLifecycle": "life_cycles",
}


def settings(name: str, server: Server | Engine | Cluster) -> dict[str, object]:
    """Provider settings in the form in which the SDK sends them."""
    if isinstance(server, Engine):
        return {"host": server.host}
    if isinstance(server, Cluster):
        return {"kubeconfig": str(server.kubeconfig), "enablePatchForce": "true"}
    if name == "minio":
        return {
            "minioServer": server.address,
            "minioUser": server.user,
            "minioPassword": server.password,
            "minioSsl": "false",
        }
    if name == "postgresql":
        return {
            "host": server.host,
            "port": str(server.port),
            "username": server.user,
            "password": server.password,
            "sslmode": "disable",
            "connectTimeout": "180",
        }
    account = f'"username": "{server.user}", "password": "{server.password}"'
    return {"elasticsearch": f'{{"endpoints": ["{server.url}"], {account}}}'}


@pytest.fixture(scope="session")
def life_cycles(tmp_path_factory) -> Iterator[Server]:
    """A server that stands in: the minimal distribution of the tests has no life cycles."""
    with serving(Elasticsearch().app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        log = tmp_path_factory.mktemp("life-cycles") / "none.log"
        yield Server(host=host, port=int(port), user="elastic", password="of tests", log=log)


@pytest.fixture
def connected(request):
    """plugin name or token -> client of the real service, which starts when it is first needed."""

    def connect(of: str):
        name = of.partition(":")[0]
        server = request.getfixturevalue(FIXTURES.get(of) or FIXTURES[name])
        return PLUGINS[name].connect(settings(name, server))

    return connect
