"""Clients of the real services, one for each plugin."""

import pytest

from plugins.docker.plugin import PLUGIN as DOCKER
from plugins.elasticstack.plugin import PLUGIN as ELASTICSTACK
from plugins.kubernetes.plugin import PLUGIN as KUBERNETES
from plugins.minio.plugin import PLUGIN as MINIO
from plugins.postgresql.plugin import PLUGIN as POSTGRESQL
from tests.docker_fixtures import Engine
from tests.kubernetes_fixtures import Cluster
from tests.services_fixtures import Server

PLUGINS = {plugin.name: plugin for plugin in (MINIO, POSTGRESQL, ELASTICSTACK, DOCKER, KUBERNETES)}
FIXTURES = {
    "minio": "minio_server",
    "postgresql": "postgres_server",
    "elasticstack": "elasticsearch_server",
    "docker": "docker_engine",
    "kubernetes": "kubernetes_cluster",
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


@pytest.fixture
def connected(request):
    """plugin name -> client of the real service, which starts when it is first needed."""

    def connect(name: str):
        server = request.getfixturevalue(FIXTURES[name])
        return PLUGINS[name].connect(settings(name, server))

    return connect
