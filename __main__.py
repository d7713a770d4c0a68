"""The platform of one stack: settings, then the flow, then everything that follows from it."""

import pulumi

from components.platform import Platform
from components.runtime import runtime_for
from components.storage.object_store import ExternalStore
from settings import OTHER_SEEDS, SettingsError, parse

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
account = pulumi.Config("minio")
external_store = settings.object_store_endpoint and ExternalStore(
    bucket=settings.object_store_bucket,
    region=settings.object_store_region,
    access_key=account.require_secret("user"),
    secret_key=account.require_secret("password"),
)
platform = Platform(
    "platform",
    settings=settings,
    flow=flow,
    runtime=runtime,
    seed=config.require_secret("seed"),
    other_seeds=[seed for seed in other_seeds if seed is not None],
    external_store=external_store or None,
)

for name, value in platform.outputs.items():
    pulumi.export(name, value)
