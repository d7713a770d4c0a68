"""Elasticsearch: the logs of syncs, and the audit log.

Creates the server, the templates of the indices `airbyte-logs-YYYY.MM.DD` and `audit-YYYY.MM.DD`,
and users with roles: one each may add to them, one see the state of the cluster, and nothing else.
Indices end by a life cycle on a cluster, and are copied each night if there is a backup store.
Elsewhere the server is the minimal distribution, which has none of that: there one user more may
delete them, as the pipeline does.
"""

import json
from dataclasses import dataclass

import pulumi
import pulumi_elasticstack as elasticstack

from components.context import Context
from components.options import child_of
from components.runtime.service import (
    Archive,
    Audit,
    Certificate,
    Endpoint,
    Readiness,
    Service,
)
from services.elasticsearch import config as elasticsearch_config
from services.elasticsearch.config import S3_CLIENT, SUPERUSER

HEAP = "1g"  # logs of one machine; the process takes about 300 MB more
LOG_WRITER = "airbyte_logs"
LOG_CLEANER = "airbyte_logs_cleaner"
MONITOR = "dataflow_metrics"
LOG_INDICES = "airbyte-logs-*"
AUDIT_WRITER = "dataflow_audit"
AUDIT_INDICES = "audit-*"
LOG_RETENTION_DAYS = 90  # of both; specification, "Audit Data Access"
LIFE_CYCLE = "dataflow-logs"  # Elasticsearch has a policy `logs` of its own
SNAPSHOT_POLICY = "nightly"
SNAPSHOTS = "0 0 5 * * ?"  # UTC; after the nightly batch of the specification
SNAPSHOT_DAYS = 30  # as PostgreSQL's backups
LEAST_SNAPSHOTS = 7  # stay, however old: with none for a month, the last are worth the most
# Of services whose history the pipeline collects: pipeline/audit.py.
AUDIT = Audit(sink=f"elasticsearch/{AUDIT_INDICES}", retention_days=LOG_RETENTION_DAYS)
CERTIFICATE = Certificate()

# Specification, "Elasticsearch Document Storage".
LOG_MAPPINGS = {
    "properties": {
        "timestamp": {"type": "date"},
        "level": {"type": "keyword"},
        "service": {"type": "keyword"},
        "message": {"type": "text"},
        "job_id": {"type": "keyword"},
        "connection_id": {"type": "keyword"},
        "records_synced": {"type": "integer"},
        "bytes_synced": {"type": "long"},
    }
}
# As pipeline/audit.py describes them.
AUDIT_MAPPINGS = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date"},
        **{
            name: {"type": "keyword", "ignore_above": 1024}
            for name in ("service", "id", "actor", "action", "object", "outcome")
        },
        "statement": {"type": "text"},
    },
}


@dataclass(frozen=True, kw_only=True)
class SearchArgs:
    """archive: where copies of the indices go; None for nowhere."""

    context: Context
    archive: Archive | None


class Search(pulumi.ComponentResource):
    endpoint: Endpoint
    log_writer: elasticstack.SecurityUser
    log_cleaner: elasticstack.SecurityUser | None  # None: Elasticsearch deletes what is too old
    audit_writer: elasticstack.SecurityUser
    snapshots: str | None  # policy that takes them

    def __init__(
        self, name: str, args: SearchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:storage:Search", name, None, opts)
        secret = args.context.credentials.secret
        running = args.context.runtime.service(_service(args), parent=self)
        self.endpoint = running.endpoints["http"]
        # One that others certify, at a gateway, is verified as the rest of the world.
        certified = self.endpoint.published_ca_file is not None
        authority = args.context.authority if certified else None
        provider = elasticstack.Provider(
            f"{name}-provider",
            elasticsearch=elasticstack.ProviderElasticsearchArgs(
                endpoints=[self.endpoint.published.url],
                username=SUPERUSER,
                password=secret("elasticsearch-superuser"),
                ca_data=authority,
            ),
            opts=child_of(self, depends_on=[running.resource]),
        )
        options = child_of(self, provider=provider, keep=args.context.keep_data)
        settings = {"index.number_of_replicas": "0"}
        life_cycles: list[pulumi.Resource] = []
        if args.context.runtime.clustered:
            nodes = args.context.sizes["elasticsearch"].replicas
            settings = {
                "index.number_of_replicas": str(min(1, nodes - 1)),
                "index.lifecycle.name": LIFE_CYCLE,
            }
            # Always kept: the server holds on to it while indices are under it, and they need it.
            kept = child_of(self, provider=provider, keep=True)
            life_cycles = [_life_cycle(f"{name}-life-cycle", kept)]
        for_templates = child_of(
            self, provider=provider, depends_on=life_cycles, keep=args.context.keep_data
        )
        for logs, indices, mappings in (
            ("airbyte-logs", LOG_INDICES, LOG_MAPPINGS),
            ("audit", AUDIT_INDICES, AUDIT_MAPPINGS),
        ):
            elasticstack.IndexTemplate(
                f"{name}-{logs}-template",
                name=logs,
                index_patterns=[indices],
                template=elasticstack.IndexTemplateTemplateArgs(
                    mappings=json.dumps(mappings),
                    settings=json.dumps(settings),
                ),
                opts=for_templates,
            )
        self.snapshots = SNAPSHOT_POLICY if args.archive else None
        if args.archive:
            _snapshots(name, args.archive, options)
        _user(
            f"{name}-metrics",
            MONITOR,
            password=secret("elasticsearch-metrics"),
            cluster=["monitor", *(["read_slm"] if args.archive else [])],
            indices=[],
            privileges=[],
            options=options,
        )
        self.log_writer = _user(
            f"{name}-airbyte-logs",
            LOG_WRITER,
            password=secret("elasticsearch-airbyte-logs"),
            cluster=["monitor"],
            indices=[LOG_INDICES],
            privileges=["auto_configure", "create_doc", "create_index", "read"],
            options=options,
        )
        self.log_cleaner = None
        if not life_cycles:
            self.log_cleaner = _user(
                f"{name}-airbyte-logs-cleaner",
                LOG_CLEANER,
                password=secret("elasticsearch-airbyte-logs-cleaner"),
                cluster=[],
                indices=[LOG_INDICES, AUDIT_INDICES],
                privileges=["delete_index", "view_index_metadata"],
                options=options,
            )
        self.audit_writer = _user(
            f"{name}-audit",
            AUDIT_WRITER,
            password=secret("elasticsearch-audit"),
            cluster=[],
            indices=[AUDIT_INDICES],
            privileges=["create_doc", "create_index", "read"],
            options=options,
        )
        self.register_outputs({"url": self.endpoint.url, "logIndices": LOG_INDICES})


def _life_cycle(name: str, options: pulumi.ResourceOptions) -> elasticstack.IndexLifecycle:
    """Deletes an index when that many days have passed since its first document."""
    return elasticstack.IndexLifecycle(
        name,
        name=LIFE_CYCLE,
        delete=elasticstack.IndexLifecycleDeleteArgs(
            min_age=f"{LOG_RETENTION_DAYS}d",
            delete=elasticstack.IndexLifecycleDeleteDeleteArgs(),
        ),
        opts=options,
    )


def _snapshots(name: str, archive: Archive, options: pulumi.ResourceOptions) -> None:
    """Of both kinds of logs, in the archive's bucket, by the account in the nodes' keystore."""
    repository = elasticstack.SnapshotRepository(
        f"{name}-backups",
        name="backups",
        s3=elasticstack.SnapshotRepositoryS3Args(
            bucket=archive.bucket.name,
            client=S3_CLIENT,
            base_path=f"{archive.prefix}/elasticsearch",
        ),
        opts=options,
    )
    elasticstack.SnapshotLifecycle(
        f"{name}-nightly-snapshots",
        name=SNAPSHOT_POLICY,
        repository=repository.name,
        schedule=SNAPSHOTS,
        indices=[LOG_INDICES, AUDIT_INDICES],
        include_global_state=False,  # the rest is declared
        expire_after=f"{SNAPSHOT_DAYS}d",
        min_count=LEAST_SNAPSHOTS,
        opts=options,
    )


def _user(
    name: str,
    username: str,
    *,
    password: pulumi.Output[str],
    cluster: list[str],
    indices: list[str],
    privileges: list[str],
    options: pulumi.ResourceOptions,
) -> elasticstack.SecurityUser:
    """A user with a role of the same name. cluster: what it may do with the cluster; privileges:
    with `indices`."""
    logs = elasticstack.SecurityRoleIndexArgs(names=indices, privileges=privileges)
    role = elasticstack.SecurityRole(
        f"{name}-role",
        name=username,
        clusters=cluster,
        indices=[logs] if indices else None,
        opts=options,
    )
    return elasticstack.SecurityUser(
        f"{name}-user", username=username, password=password, roles=[role.name], opts=options
    )


def _service(args: SearchArgs) -> Service:
    context = args.context
    directory = context.runtime.directory("elasticsearch")
    home = context.runtime.installed("elasticsearch")
    config, data = directory / "config", directory / "data"
    ports = context.runtime.ports("elasticsearch")
    tls = context.runtime.certificate_files("elasticsearch", CERTIFICATE)
    return Service(
        name="elasticsearch",
        program="elasticsearch",
        command=elasticsearch_config.command(home),
        environment=elasticsearch_config.environment(config_dir=config, tmp_dir=data),
        files=elasticsearch_config.files(
            host=context.runtime.bind_host,
            http_port=ports["http"],
            transport_port=ports["transport"],
            data_dir=data,
            logs_dir=data,
            heap=HEAP,
            tls=tls,
        ),
        secret_files={"superuser-password": context.credentials.secret("elasticsearch-superuser")},
        init=(
            elasticsearch_config.init(
                home=home, config_dir=config, password_file=config / "superuser-password"
            ),
        ),
        ports=ports,
        size=context.sizes["elasticsearch"],
        archive=args.archive,
        connects_to=(args.archive.store,) if args.archive else (),
        certificate=CERTIFICATE,
        readiness=Readiness(
            kind="command",
            command=context.runtime.probe(
                "elasticsearch",
                str(ports["http"]),
                str(config / "superuser-password"),
                *([str(tls.ca)] if tls else []),
            ),
            timeout_s=300,
        ),
        stop_timeout_s=60,
    )
