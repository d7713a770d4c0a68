"""The docker plugin as data."""

from typing import Any

from dynamic_providers.handler import Props
from plugins.docker.container import Container
from plugins.docker.network import Network
from plugins.docker.remote_image import RemoteImage
from plugins.docker.tag import Tag
from plugins.docker.volume import Volume
from plugins.provider import Plugin

NO_BUILD = "images are built and pushed by the project's delivery, and named by digest here"


def _connect(settings: Props) -> Any:
    from plugins.docker.client import connect  # late: the plugin must answer the engine first

    return connect(settings)


PLUGIN = Plugin(
    name="docker",
    sdk="pulumi_docker",
    connect=_connect,
    secret_settings=frozenset({"keyMaterial", "registryAuth"}),
    absent={"docker:index/image:Image": NO_BUILD},
    handlers={
        "docker:index/container:Container": Container(),
        "docker:index/network:Network": Network(),
        "docker:index/remoteImage:RemoteImage": RemoteImage(),
        "docker:index/tag:Tag": Tag(),
        "docker:index/volume:Volume": Volume(),
    },
)
