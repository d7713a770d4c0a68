"""Prometheus, which collects the metrics of every service of the stack, and judges them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.context import Context
from components.observability import alerts
from components.runtime.service import Certificate, Endpoint, Readiness, Service
from components.storage.object_store import ObjectStore
from services.minio import config as minio_config
from services.prometheus import config as prometheus_config
from services.prometheus.config import Scrape

CERTIFICATE = Certificate()
SCRAPE_INTERVAL_S = 15
EXPORTER_INTERVAL_S = 60  # each reading is a few calls of the product's API
RETENTION_DAYS = 90  # as long as the audit log (specification, "Audit Data Access")


@dataclass(frozen=True, kw_only=True)
class MetricsArgs:
    """targets: service -> endpoint that serves /metrics to everybody on this machine.
    exporter: endpoint that serves metrics of `exported` services, at /metrics/SERVICE.
    profile: name of the sizes, and so of the times that work may take."""

    context: Context
    object_store: ObjectStore
    targets: Mapping[str, Endpoint]
    exporter: Endpoint
    exported: tuple[str, ...]
    profile: str


class Metrics(pulumi.ComponentResource):
    endpoint: Endpoint

    def __init__(
        self, name: str, args: MetricsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:observability:Metrics", name, None, opts)
        running = args.context.runtime.service(_service(args), parent=self)
        self.endpoint = running.endpoints["http"]
        self.register_outputs({"url": self.endpoint.url})


def _service(args: MetricsArgs) -> Service:
    runtime = args.context.runtime
    directory = runtime.directory("prometheus")
    ports = runtime.ports("prometheus")
    store = args.object_store.endpoint
    own = runtime.endpoint("prometheus", "http")
    scrapes = [
        Scrape(job=job, targets=(f"{target.host}:{target.port}",), ca_file=target.ca_file)
        for job, target in sorted({**args.targets, "prometheus": own}.items())
    ]
    token = args.object_store.metrics_token
    if token is not None:
        minio = Scrape(
            job="minio",
            targets=(f"{store.host}:{store.port}",),
            path=minio_config.METRICS_PATH,
            ca_file=store.ca_file,
            bearer_token_file=directory / "config" / "minio-token",
        )
        scrapes = [minio, *scrapes]
    scrapes += [
        Scrape(
            job=service,
            targets=(f"{args.exporter.host}:{args.exporter.port}",),
            path=f"/metrics/{service}",
            ca_file=args.exporter.ca_file,
            interval_s=EXPORTER_INTERVAL_S,
        )
        for service in sorted(args.exported)
    ]
    return Service(
        name="prometheus",
        program="prometheus",
        command=prometheus_config.command(
            home=runtime.installed("prometheus"),
            config_dir=directory / "config",
            data_dir=directory / "data",
            host=runtime.bind_host,
            port=ports["http"],
            retention_days=RETENTION_DAYS,
        ),
        files=prometheus_config.files(
            scrapes=scrapes,
            interval_s=SCRAPE_INTERVAL_S,
            rules=alerts.files([scrape.job for scrape in scrapes], args.profile),
            tls=runtime.certificate_files("prometheus", CERTIFICATE),
        ),
        secret_files={} if token is None else {"minio-token": token},
        ports=ports,
        size=args.context.sizes["prometheus"],
        certificate=CERTIFICATE,
        readiness=Readiness(kind="http", port=ports["http"], path="/-/ready"),
        connects_to=(
            *(["minio"] if token is not None else []),
            "prometheus",
            *sorted(args.targets),
        ),
    )
