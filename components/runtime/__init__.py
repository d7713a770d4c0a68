"""How services are run: a description of each (service.py) and one renderer per environment."""

from components.runtime import images
from components.runtime.docker import DockerRuntime
from components.runtime.images import ImageError, Images
from components.runtime.process import ProcessRuntime
from components.runtime.service import Runtime
from settings import NAMESPACE, Settings, SettingsError
from tools.paths import Paths
from tools.preflight import service_user


def runtime_for(settings: Settings) -> Runtime:
    """The runtime that `dataflow:runtime` names. Raises SettingsError if it is not built yet, or
    for images that cannot be used."""
    settings.require_built()
    if settings.runtime == "process":
        return ProcessRuntime(
            "runtime",
            stack_dir=Paths.find().stack_dir(settings.stack),
            user=service_user(),
            port_offset=settings.port_offset,
            keep_data=settings.keep_data,
        )
    return DockerRuntime(
        "runtime",
        stack=settings.stack,
        images=_images(settings),
        port_offset=settings.port_offset,
        keep_data=settings.keep_data,
    )


def _images(settings: Settings) -> Images:
    try:
        chosen = Images(known=images.load(), chosen=settings.images)
    except ImageError as fault:
        raise SettingsError(f"{fault} (Pulumi.{settings.stack}.yaml)") from None
    if missing := chosen.unpinned():
        raise SettingsError(
            f"{NAMESPACE}:runtime: {settings.runtime!r}: no digest yet for the images "
            f"{', '.join(missing)}: run `bin/dataflow images update` once, or set "
            "images:<program> to references of your own"
        )
    return chosen
