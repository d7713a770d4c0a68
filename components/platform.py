"""The whole platform, layer by layer, in the direction of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.context import Context
from components.ingestion.airbyte import (
    EMBEDDED_OWNERS,
    PRODUCT,
    PRODUCT_ACCESS,
    PRODUCT_OWNERS,
    Airbyte,
    AirbyteArgs,
)
from components.ingestion.connections import STORE_USER as AIRBYTE_STORE_USER
from components.ingestion.connections import Connections, ConnectionsArgs
from components.ingestion.shop import Shop, ShopArgs
from components.observability.metrics import Metrics, MetricsArgs
from components.options import child_of
from components.presentation.dashboards import Dashboards, DashboardsArgs
from components.presentation.superset import Superset, SupersetArgs
from components.processing.datasets import Datasets, DatasetsArgs
from components.processing.dremio import STORE_USER as DREMIO_STORE_USER
from components.processing.dremio import Dremio, DremioArgs
from components.processing.pipeline import Pipeline, PipelineArgs
from components.processing.reflections import Reflections, ReflectionsArgs
from components.runtime.catalog import OBJECT_STORE
from components.runtime.products.dremio import PREFIX as DREMIO_PREFIX
from components.runtime.service import Archive, Recovery, Runtime
from components.security.credentials import Credentials
from components.security.tls import CertificateAuthority, CertificateAuthorityArgs
from components.sizing import PROFILES
from components.storage.backups import ARCHIVE, Backups, BackupsArgs, access, archive
from components.storage.object_store import Access, ExternalStore, ObjectStore, ObjectStoreArgs
from components.storage.postgres import Owner, Postgres, PostgresArgs
from components.storage.search import Search, SearchArgs
from flow.derive import retention
from flow.model import DataFlow, Layer
from settings import Settings

BACKUPS = "backups"  # prefix of the bucket
BACKUP_STORE_USER = "backup"
OWNERS = tuple(Owner(role=role) for role in ("pipeline", "shop", "superset"))

# Specification, "Good Security Practices": each service writes its own layers only.
ACCESS = (
    Access(user=AIRBYTE_STORE_USER, read=(Layer.BRONZE,), write=(Layer.BRONZE,)),
    Access(
        user=DREMIO_STORE_USER,
        read=(Layer.BRONZE, Layer.SILVER, Layer.GOLD),
        write=(DREMIO_PREFIX, Layer.SILVER, Layer.GOLD),
    ),
)
# Without a backup store, PostgreSQL's archive is in the stack's own bucket.
ARCHIVE_ACCESS = Access(user=BACKUP_STORE_USER, read=(BACKUPS,), write=(BACKUPS,))


class Platform(pulumi.ComponentResource):
    """Everything of one stack.

    other_seeds: whose authorities are trusted too, while credentials are replaced.
    external_store: in place of the stack's own object store. backup_store: for its backups.
    outputs: name -> address, for `pulumi stack output`.
    """

    outputs: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        flow: DataFlow,
        runtime: Runtime,
        seed: pulumi.Output[str],
        other_seeds: Sequence[pulumi.Output[str]] = (),
        external_store: ExternalStore | None = None,
        backup_store: ExternalStore | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("dataflow:index:Platform", name, None, opts)
        inside = child_of(self)
        credentials = Credentials(seed, other_seeds)
        authority = CertificateAuthority(
            "certificates",
            CertificateAuthorityArgs(
                credentials=credentials,
                runtime=runtime,
                domain=settings.domain,
            ),
            inside,
        )
        context = Context(
            runtime=runtime,
            credentials=credentials,
            authority=authority.trusted,
            keep_data=settings.keep_data,
            sizes=PROFILES[settings.profile],
        )

        with_product = settings.airbyte == PRODUCT
        store = ObjectStore(
            "object-store",
            ObjectStoreArgs(
                context=context,
                access=(
                    *ACCESS,
                    *(access(bool(settings.recover)) if backup_store else [ARCHIVE_ACCESS]),
                    *([PRODUCT_ACCESS] if with_product else []),
                ),
                retention=retention(flow),
                external=external_store,
            ),
            inside,
        )
        if backup_store:
            archived = archive(context, backup_store, _recovery(settings))
            backups = Backups(
                "backups",
                BackupsArgs(context=context, object_store=store, archive=archived),
                inside,
            )
        else:
            backups = None
            archived = Archive(
                store=OBJECT_STORE,
                bucket=store.bucket(BACKUP_STORE_USER),
                prefix=BACKUPS,
                name=ARCHIVE,
            )
        postgres = Postgres(
            "postgres",
            PostgresArgs(
                context=context,
                owners=(*(PRODUCT_OWNERS if with_product else EMBEDDED_OWNERS), *OWNERS),
                archive=archived,
            ),
            inside,
        )
        search = Search(
            "search",
            # Logs that last 90 days at most are worth a place elsewhere, and none at home.
            SearchArgs(context=context, archive=archived if backup_store else None),
            inside,
        )
        shop = Shop(
            "shop",
            ShopArgs(
                context=context,
                postgres=postgres,
                orders=settings.shop_orders,
            ),
            inside,
        )
        airbyte = Airbyte(
            "airbyte",
            AirbyteArgs(
                engine=settings.airbyte,
                context=context,
                postgres=postgres,
                search=search,
                object_store=store,
            ),
            inside,
        )
        lake = store.bucket(AIRBYTE_STORE_USER)
        connections = Connections(
            "connections",
            ConnectionsArgs(
                context=context,
                flow=flow,
                bucket=lake.public if with_product else lake,
                systems={"postgres": shop.system},
                allow_reset=settings.allow_reset,
                depends_on=[airbyte.service.resource, *store.ready(AIRBYTE_STORE_USER)],
            ),
            inside,
        )
        dremio = Dremio(
            "dremio",
            DremioArgs(
                context=context,
                flow=flow,
                object_store=store,
            ),
            inside,
        )
        datasets = Datasets(
            "datasets",
            DatasetsArgs(
                flow=flow,
                files=connections.first_syncs,
                depends_on=[dremio.lake, dremio.spaces[Layer.BRONZE]],
            ),
            inside,
        )
        pipeline = Pipeline(
            "pipeline",
            PipelineArgs(
                context=context,
                flow=flow,
                postgres=postgres,
                search=search,
                airbyte=airbyte,
                dremio=dremio,
                backups=backups,
                sources_ready=list(datasets.views.values()),
            ),
            inside,
        )
        Reflections(
            "reflections",
            ReflectionsArgs(flow=flow, depends_on=[pipeline.first_build]),
            inside,
        )
        superset = Superset(
            "superset",
            SupersetArgs(
                context=context,
                postgres=postgres,
            ),
            inside,
        )
        Dashboards(
            "dashboards",
            DashboardsArgs(
                context=context,
                flow=flow,
                flight=dremio.flight,
                depends_on=[superset.service.resource, dremio.lake],
                tables_ready=[pipeline.first_build],
            ),
            inside,
        )
        metrics = Metrics(
            "metrics",
            MetricsArgs(
                context=context,
                object_store=store,
                targets={
                    "pipeline": pipeline.service.endpoints["metrics"],
                    "superset": superset.endpoint,
                },
                exporter=pipeline.service.endpoints["metrics"],
                exported=pipeline.exported,
                profile=settings.profile,
            ),
            inside,
        )
        self.outputs = {
            "caFile": postgres.endpoint.published_ca_file,
            "airbyteUrl": airbyte.endpoint.published.url,
            "dremioUrl": dremio.rest.published.url,
            "elasticsearchUrl": search.endpoint.published.url,
            "flightUrl": dremio.flight.published.url,
            "minioUrl": store.endpoint.published.url,
            "postgresUrl": postgres.endpoint.published.url,
            "prometheusUrl": metrics.endpoint.published.url,
            "supersetUrl": superset.endpoint.published.url,
        }
        self.register_outputs(dict(self.outputs))


def _recovery(settings: Settings) -> Recovery | None:
    point = settings.recover
    return Recovery(archive=point.archive, time=point.time) if point else None
