"""What people must hear of, and the specification's metrics under its names.

Rules ask for metrics that every runtime has: those of the products themselves where all of them
have any, else those that the pipeline's exporters read from their APIs. Figures without a source
here are the specification's ("Performance Benchmarks", "Data Flow Monitoring").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.prometheus import rules
from services.prometheus.rules import Alert, Recording

RUNBOOKS = "docs/runbooks"  # in this project
CERTIFICATE_DAYS = 21  # renewal begins at 30 days of 90: by then it has failed for nine
DISK_WARNING, DISK_CRITICAL = 0.85, 0.95  # as Elasticsearch's own watermarks
CONNECTIONS_USED = 0.8
QUEUED_QUERIES = 10
ERROR_SHARE = 0.05
DASHBOARD_S = 5  # specification: "< 5 secondes au total"
AUDIT_S = 3600  # it is collected every quarter of an hour, and products remember for weeks
BACKUP_S = 36 * 3600  # each night one of the lake, and one of logs: half a day late
MISSED_RUNS = 2  # one late run is a slow one


@dataclass(frozen=True, kw_only=True)
class Targets:
    """How long the work on a dataset may take, in seconds."""

    sync: int
    dbt: int
    reflection: int
    query: float


# Specification, "Performance Benchmarks": 1 M, 100 M, 1 B rows.
TARGETS: Mapping[str, Targets] = {
    "small": Targets(sync=120, dbt=30, reflection=10, query=0.1),
    "medium": Targets(sync=1800, dbt=600, reflection=300, query=0.5),
    "large": Targets(sync=18_000, dbt=7200, reflection=1800, query=2),
}
# The specification's names of what MinIO calls otherwise.
RECORDINGS = (
    Recording(name="minio_disk_usage_bytes", expr="sum(minio_cluster_usage_total_bytes)"),
    Recording(name="minio_objects_total", expr="sum(minio_cluster_usage_object_total)"),
    Recording(
        name="api_requests_per_second", expr="sum by (api) (rate(minio_s3_requests_total[5m]))"
    ),
)
# share of disk that is used, by service and node
USED = (
    "label_replace(1 - minio_cluster_capacity_usable_free_bytes "
    '/ minio_cluster_capacity_usable_total_bytes, "service", "minio", "", "") or '
    "label_replace(1 - elasticsearch_disk_available_bytes / elasticsearch_disk_total_bytes, "
    '"service", "elasticsearch", "", "")'
)


def files(services: Sequence[str], profile: str) -> dict[str, str]:
    """Files of rules. services: job names of what is scraped. profile: of settings."""
    targets = TARGETS[profile]
    groups: dict[str, Sequence[Alert | Recording]] = {
        "specification": RECORDINGS,
        "services": [_down(service) for service in services],
        "certificates": CERTIFICATES,
        "storage": STORAGE,
        "ingestion": _ingestion(targets),
        "processing": _processing(targets),
        "presentation": PRESENTATION,
        "audit": AUDIT,
    }
    return {
        path: text
        for group, made in groups.items()
        for path, text in rules.file(group, made).items()
    }


def _alert(
    name: str, runbook: str, expr: str, held: str, severity: str, summary: str, service: str = ""
) -> Alert:
    return Alert(
        name=name,
        expr=expr,
        held=held,
        severity=severity,
        summary=summary,
        runbook=f"{RUNBOOKS}/{runbook}.md",
        service=service,
    )


def _down(service: str) -> Alert:
    return _alert(
        "ServiceDown",
        "service-down",
        f'up{{job="{service}"}} == 0 or absent(up{{job="{service}"}})',
        "2m",
        "critical",
        f"{service} does not answer",
        service,
    )


CERTIFICATES = (
    _alert(
        "CertificateExpiresSoon",
        "certificate-expires-soon",
        f"0 <= certificate_expiration_timestamp_seconds < time() + {CERTIFICATE_DAYS} * 86400",
        "1h",
        "critical",
        f"The certificate of {{{{ $labels.service }}}} ends in less than {CERTIFICATE_DAYS} days",
    ),
    _alert(
        "CertificateNotTrusted",
        "certificate-not-trusted",
        "certificate_expiration_timestamp_seconds < 0",
        "15m",
        "critical",
        "{{ $labels.service }} serves no certificate that clients can trust",
    ),
)
STORAGE = (
    _alert(
        "DiskAlmostFull",
        "disk-full",
        f"({USED}) > {DISK_WARNING}",
        "10m",
        "warning",
        "The disk of {{ $labels.service }} is {{ $value | humanizePercentage }} full",
    ),
    _alert(
        "DiskFull",
        "disk-full",
        f"({USED}) > {DISK_CRITICAL}",
        "5m",
        "critical",
        "The disk of {{ $labels.service }} is {{ $value | humanizePercentage }} full",
    ),
    _alert(
        "DiskFillsUp",
        "disk-full",
        "predict_linear(minio_cluster_capacity_usable_free_bytes[1h], 4 * 3600) < 0",
        "15m",
        "warning",
        "The object store's disk will be full within 4 hours",
        "minio",
    ),
    _alert(
        "ElasticsearchRed",
        "elasticsearch-red",
        'elasticsearch_cluster_health_status{color="red"} == 1',
        "5m",
        "critical",
        "Elasticsearch has lost shards: logs are missing, and new ones are refused",
        "elasticsearch",
    ),
    _alert(
        "SnapshotOverdue",
        "snapshot-overdue",
        f"time() - elasticsearch_snapshot_timestamp_seconds > {BACKUP_S}",
        "10m",
        "warning",
        "No snapshot of Elasticsearch has succeeded for a day and a half",
        "elasticsearch",
    ),
    _alert(
        "BackupOverdue",
        "backup-overdue",
        f"time() - lake_backup_timestamp_seconds > {BACKUP_S}",
        "10m",
        "critical",
        "The lake has not been copied to the backup store for a day and a half",
        "lake-backup",
    ),
    _alert(
        "ArchiveFails",
        "archive-fails",
        "postgres_archive_failure_timestamp_seconds > postgres_archive_success_timestamp_seconds",
        "15m",
        "critical",
        "PostgreSQL cannot archive its write-ahead log: it keeps it until the disk is full",
        "postgres",
    ),
    _alert(
        "PostgresConnectionsHigh",
        "postgres-connections",
        f"sum(postgres_connections_active) / max(postgres_connections_limit) > {CONNECTIONS_USED}",
        "5m",
        "warning",
        "{{ $value | humanizePercentage }} of PostgreSQL's connections are in use",
        "postgres",
    ),
    _alert(
        "ObjectStoreErrors",
        "object-store-errors",
        "sum(rate(minio_s3_requests_5xx_errors_total[5m])) "
        f"/ sum(rate(minio_s3_requests_total[5m])) > {ERROR_SHARE}",
        "5m",
        "critical",
        "{{ $value | humanizePercentage }} of the object store's answers are errors",
        "minio",
    ),
)


def _ingestion(targets: Targets) -> tuple[Alert, ...]:
    return (
        _alert(
            "SyncFailed",
            "sync-failed",
            "airbyte_connection_last_sync_success == 0",
            "1m",
            "critical",
            "The last sync of {{ $labels.connection_name }} failed",
            "airbyte",
        ),
        _alert(
            "SyncOverdue",
            "sync-overdue",
            "time() - airbyte_connection_last_success_timestamp_seconds > on () group_left () "
            f"{MISSED_RUNS} * max(pipeline_schedule_interval_seconds)",
            "10m",
            "critical",
            f"{{{{ $labels.connection_name }}}} has missed {MISSED_RUNS} times of its schedule",
            "airbyte",
        ),
        _alert(
            "SyncSlow",
            "sync-slow",
            "increase(airbyte_sync_duration_seconds_count[1h]) - ignoring (le) "
            f'increase(airbyte_sync_duration_seconds_bucket{{le="{targets.sync:.1f}"}}[1h]) > 0',
            "5m",
            "warning",
            f"A sync of {{{{ $labels.connection_name }}}} took more than {targets.sync} s",
            "airbyte",
        ),
    )


def _processing(targets: Targets) -> tuple[Alert, ...]:
    return (
        _alert(
            "PipelineRunFailed",
            "pipeline-run-failed",
            "pipeline_last_run_success == 0",
            "1m",
            "critical",
            "The last run of the pipeline failed",
            "pipeline",
        ),
        _alert(
            "PipelineOverdue",
            "pipeline-overdue",
            "time() - pipeline_last_success_timestamp_seconds "
            f"> {MISSED_RUNS} * pipeline_schedule_interval_seconds",
            "10m",
            "critical",
            f"No run of the pipeline has succeeded for {MISSED_RUNS} times of its schedule",
            "pipeline",
        ),
        _alert(
            "DbtRunFailed",
            "dbt-run-failed",
            "dbt_last_run_success == 0",
            "1m",
            "critical",
            "A model or test of the last dbt run failed",
            "pipeline",
        ),
        _alert(
            "DbtRunSlow",
            "dbt-run-slow",
            f"sum(dbt_model_execution_time) > {targets.dbt}",
            "1m",
            "warning",
            f"The models of the last dbt run took more than {targets.dbt} s together",
            "pipeline",
        ),
        _alert(
            "ReflectionFailed",
            "reflection-failed",
            'dremio_reflection_status{status=~"FAILED|INVALID|CAN_ACCELERATE_WITH_FAILURES"} == 1',
            "5m",
            "warning",
            "Reflection {{ $labels.reflection }} of {{ $labels.dataset }} is not refreshed: "
            "{{ $labels.status }}",
            "dremio",
        ),
        _alert(
            "ReflectionStale",
            "reflection-stale",
            'dremio_reflection_status{status=~"EXPIRED|CANNOT_ACCELERATE.*"} == 1',
            "30m",
            "warning",
            "Reflection {{ $labels.reflection }} of {{ $labels.dataset }} cannot be used: "
            "{{ $labels.status }}",
            "dremio",
        ),
        _alert(
            "ReflectionSlow",
            "reflection-slow",
            "sum(increase(dremio_reflection_refresh_seconds_count[1h])) - "
            "sum(increase(dremio_reflection_refresh_seconds_bucket"
            f'{{le="{targets.reflection:.1f}"}}[1h])) > 0',
            "5m",
            "warning",
            f"A refresh of a reflection took more than {targets.reflection} s",
            "dremio",
        ),
        _alert(
            "QueryQueueLong",
            "query-queue-long",
            f"dremio_jobs_waiting > {QUEUED_QUERIES}",
            "5m",
            "warning",
            "{{ $value }} queries wait in Dremio's queue",
            "dremio",
        ),
        _alert(
            "QueriesSlow",
            "queries-slow",
            "histogram_quantile(0.95, sum by (le) (rate(dremio_query_duration_seconds_bucket"
            f'{{query_type=~".*FLIGHT.*"}}[5m]))) > {targets.query}',
            "15m",
            "warning",
            f"One in twenty queries of dashboards takes more than {targets.query:g} s",
            "dremio",
        ),
        _alert(
            "QueriesFail",
            "queries-fail",
            'sum(rate(dremio_query_duration_seconds_count{outcome="FAILED"}[5m])) '
            f"/ sum(rate(dremio_query_duration_seconds_count[5m])) > {ERROR_SHARE}",
            "10m",
            "warning",
            "{{ $value | humanizePercentage }} of Dremio's queries fail",
            "dremio",
        ),
    )


PRESENTATION = (
    _alert(
        "DashboardsSlow",
        "dashboards-slow",
        "histogram_quantile(0.95, sum by (le, dashboard) "
        f"(rate(superset_dashboard_load_time_bucket[15m]))) > {DASHBOARD_S}",
        "15m",
        "warning",
        f"Dashboard {{{{ $labels.dashboard }}}} takes more than {DASHBOARD_S} s to load",
        "superset",
    ),
    _alert(
        "RulesFail",
        "rules-fail",
        "increase(prometheus_rule_evaluation_failures_total[15m]) > 0",
        "5m",
        "warning",
        "Prometheus cannot evaluate the rules of {{ $labels.rule_group }}",
        "prometheus",
    ),
)
AUDIT = (
    _alert(
        "AuditLogOverdue",
        "audit-log-overdue",
        f"time() - audit_last_collection_timestamp_seconds > {AUDIT_S}",
        "10m",
        "warning",
        "The audit log of {{ $labels.service }} has not been collected for an hour",
        "pipeline",
    ),
)
