"""How services are run: a description of each (service.py) and one renderer per environment."""

from pathlib import Path

from components.runtime.catalog import BACKUP_STORE, OBJECT_STORE
from components.runtime.products import airbyte
from components.runtime.service import Runtime
from components.sizing import PROFILES
from dynamic_providers.local.certificate_authority import ca_file
from services import images
from services.images import ImageError, Images
from settings import NAMESPACE, Settings, SettingsError
from tools.paths import Paths
from tools.preflight import service_user

# Programs that run on one kind of runtime with containers only.
ON_CLUSTERS = frozenset({"cloudnative-pg", "zookeeper"})
ON_ENGINES = frozenset({"postgresql"})
WITH_AIRBYTE = frozenset(airbyte.PROGRAMS)  # the product


def runtime_for(settings: Settings) -> Runtime:
    """The runtime that `dataflow:runtime` names. Raises SettingsError for images that cannot be
    used.

    It alone is imported: all of the SDK of Kubernetes would be a quarter of a preview's imports.
    """
    stack_dir = Paths.find().stack_dir(settings.stack)
    if settings.runtime == "process":
        from components.runtime.process import ProcessRuntime

        return ProcessRuntime(
            "runtime",
            stack_dir=stack_dir,
            user=service_user(),
            port_offset=settings.port_offset,
            keep_data=settings.keep_data,
        )
    if settings.runtime == "docker":
        from components.runtime.docker import DockerRuntime

        return DockerRuntime(
            "runtime",
            stack=settings.stack,
            images=_images(settings, without=ON_CLUSTERS | WITH_AIRBYTE),
            port_offset=settings.port_offset,
            keep_data=settings.keep_data,
            ca_file=ca_file(str(stack_dir)),
        )
    return _cluster(settings, stack_dir)


def _cluster(settings: Settings, stack_dir: Path) -> Runtime:
    from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime, Outside

    stores = {
        OBJECT_STORE: (settings.object_store_endpoint, settings.object_store_network),
        BACKUP_STORE: (settings.backup_endpoint, settings.backup_network),
    }
    return KubernetesRuntime(
        "runtime",
        settings=ClusterSettings(
            stack=settings.stack,
            domain=settings.domain,
            gateway_class=settings.gateway_class,
            issuer=settings.issuer,
            api_server=settings.api_server,
            storage_class=settings.storage_class,
            urls=settings.urls,
            ca_file=ca_file(str(stack_dir)),
            outside={
                name: Outside(url=url, network=network)
                for name, (url, network) in stores.items()
                if url
            },
        ),
        images=_images(settings, without=_unused(settings)),
        sizes=PROFILES[settings.profile],
        keep_data=settings.keep_data,
    )


def _unused(settings: Settings) -> frozenset[str]:
    """Programs that a cluster does not run with these settings."""
    unused = set(ON_ENGINES)
    if settings.airbyte != "product":
        unused |= WITH_AIRBYTE
    if settings.object_store_endpoint:
        unused.add("minio")
    return frozenset(unused)


def _images(settings: Settings, *, without: frozenset[str]) -> Images:
    try:
        chosen = Images(known=images.load(), chosen=settings.images)
    except ImageError as fault:
        raise SettingsError(f"{fault} (Pulumi.{settings.stack}.yaml)") from None
    if missing := [program for program in chosen.unpinned() if program not in without]:
        raise SettingsError(
            f"{NAMESPACE}:runtime: {settings.runtime!r}: no digest yet for the images "
            f"{', '.join(missing)}: run `bin/dataflow images update` once, build dataflow and "
            "superset from tools/images, and set images:<program> to references of your own"
        )
    return chosen
