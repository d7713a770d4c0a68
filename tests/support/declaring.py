"""The whole platform under the engine's mocks, on any runtime."""

from collections.abc import Callable, Sequence
from typing import Any

import pulumi

from components.runtime.service import Runtime
from components.storage.object_store import ExternalStore
from flow.commerce import FLOW
from flow.model import DataFlow
from services import images
from services.images import Images
from settings import Settings

SEED = "a seed that only this test knows"
DIGEST = "sha256:" + "0" * 64
COMPUTED: dict[str, dict[str, Any]] = {
    "docker:index/container:Container": {"exitCode": 0},
    "docker:index/remoteImage:RemoteImage": {"imageId": "sha256:1234"},
}


class Recorder(pulumi.runtime.Mocks):
    """Keeps every registration: name -> (type, inputs), what components say of themselves:
    name -> outputs, the names of what each waits for, and of what a destroy leaves behind."""

    def __init__(self) -> None:
        self.resources: dict[str, tuple[str, dict]] = {}
        self.outputs: dict[str, dict] = {}
        self.waits_for: dict[str, set[str]] = {}
        self.left_behind: set[str] = set()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs):
        assert args.name not in self.resources, f"{args.name} is declared twice"
        self.resources[args.name] = (args.typ, args.inputs)
        return f"{args.name}-id", {**args.inputs, **COMPUTED.get(args.typ, {})}

    def call(self, args: pulumi.runtime.MockCallArgs):
        raise AssertionError(f"unexpected call of {args.token}")


class Monitor(pulumi.runtime.mocks.MockMonitor):
    """One that hands on the outputs of components and the order, which the SDK's own forgets."""

    def RegisterResource(self, request):  # noqa: N802 - of the protocol
        urns = [*request.dependencies, request.parent]
        self.mocks.waits_for[request.name] = {urn.rpartition("::")[2] for urn in urns if urn}
        if request.retainOnDelete:
            self.mocks.left_behind.add(request.name)
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request):  # noqa: N802 - gRPC's name
        name = request.urn.rpartition("::")[2]
        self.mocks.outputs[name] = pulumi.runtime.rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)


def settings(**changes: Any) -> Settings:
    values = {
        "stack": "test",
        "runtime": "process",
        "port_offset": 0,
        "keep_data": False,
        "allow_reset": False,
        "shop_orders": 1500,
        "flow": "flow.commerce:FLOW",
        "profile": "small",
        "images": {},
        "urls": {},
        "domain": "",
        "gateway_class": "",
        "issuer": "",
        "api_server": "",
        "storage_class": "",
        "airbyte": "embedded",
        "object_store_endpoint": "",
        "object_store_bucket": "",
        "object_store_region": "",
        "object_store_network": "",
        "backup_endpoint": "",
        "backup_bucket": "",
        "backup_region": "",
        "backup_network": "",
        "recover": None,
    }
    return Settings(**{**values, **changes})


def production(**changes: Any) -> Settings:
    """The settings of a stack on a cluster, as far as components ask for them."""
    return settings(**{"runtime": "kubernetes", "airbyte": "product", **changes})


def backup_store() -> ExternalStore:
    return ExternalStore(
        bucket="example-backups",
        region="eu-west-1",
        access_key=pulumi.Output.secret("the backup's access key"),
        secret_key=pulumi.Output.secret("the backup's secret key"),
    )


def pinned_images() -> Images:
    """The project's images, with a digest where none has been looked up."""
    known = images.load()
    chosen = {
        program: f"{image.repository}:{image.version}@{DIGEST}"
        for program, image in known.items()
        if not image.digest
    }
    return Images(known=known, chosen=chosen)


def declared(
    runtime: Callable[[], Runtime],
    *,
    flow: DataFlow = FLOW,
    preview: bool = False,
    chosen: Settings | None = None,
    other_seeds: Sequence[str] = (),
    external_store: ExternalStore | None = None,
    backup_store: ExternalStore | None = None,
    recorder: Recorder | None = None,
) -> dict[str, tuple[str, dict]]:
    """dict name -> (type, inputs) of all that the program declares on the runtime."""
    from components.platform import Platform

    recorder = recorder or Recorder()
    pulumi.runtime.mocks.set_mocks(
        recorder, project="dataflow", stack="test", preview=preview, monitor=Monitor(recorder)
    )

    @pulumi.runtime.test
    def program() -> None:
        Platform(
            "platform",
            settings=chosen or settings(),
            flow=flow,
            runtime=runtime(),
            seed=pulumi.Output.secret(SEED),
            other_seeds=[pulumi.Output.secret(seed) for seed in other_seeds],
            external_store=external_store,
            backup_store=backup_store,
        )

    program()
    return recorder.resources
