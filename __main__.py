"""The platform of one stack: settings, then the flow, then everything that follows from it."""

from collections.abc import Mapping

import pulumi

from components.completion import completion
from components.platform import Platform
from components.runtime import runtime_for
from components.storage.object_store import ExternalStore
from settings import OTHER_SEEDS, SettingsError, parse


def external(endpoint: str, bucket: str, region: str, account: str) -> ExternalStore | None:
    """account: namespace of the keys of its user and password."""
    if not endpoint:
        return None
    keys = pulumi.Config(account)
    return ExternalStore(
        bucket=bucket,
        region=region,
        access_key=keys.require_secret("user"),
        secret_key=keys.require_secret("password"),
    )


config = pulumi.Config()
try:
    settings = parse(
        pulumi.get_stack(),
        pulumi.runtime.config.get_config_env(),
        encrypted=pulumi.runtime.config.is_config_secret,
    )
    flow = settings.load_flow()
    runtime = runtime_for(settings)
except SettingsError as fault:
    raise pulumi.RunError(str(fault)) from None
other_seeds = [config.get_secret(key) for key in OTHER_SEEDS]
platform = Platform(
    "platform",
    settings=settings,
    flow=flow,
    runtime=runtime,
    seed=config.require_secret("seed"),
    other_seeds=[seed for seed in other_seeds if seed is not None],
    external_store=external(
        settings.object_store_endpoint,
        settings.object_store_bucket,
        settings.object_store_region,
        "minio",
    ),
    backup_store=external(
        settings.backup_endpoint, settings.backup_bucket, settings.backup_region, "backup"
    ),
)


async def outputs() -> Mapping[str, pulumi.Input[object]]:
    await completion()
    return platform.outputs


pulumi.run(outputs)
