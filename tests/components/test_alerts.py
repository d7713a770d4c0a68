"""The alerts, by Prometheus' own tool: each fires when it should, and not before."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from components.observability import alerts
from components.sizing import PROFILES
from services.prometheus.rules import Alert
from tests.services.running import installed
from tools.paths import Paths

END = "64m"  # after the longest time that an alert waits
SERVICES = ("airbyte", "minio", "pipeline")
SYNC = '{connection_name="postgres", instance="pipeline:1"}'
STATUS = 'dremio_reflection_status{{reflection="raw", dataset="gold.a", status="{}"}}'
BUCKET = "dremio_query_duration_seconds_bucket"
FLIGHT = 'query_type="FLIGHT", outcome="COMPLETED"'


def histogram(name: str, labels: str, bound: str, slow: str, all_of_them: str) -> dict[str, str]:
    """Cumulative counts of what took at most `bound`, and of all."""
    given = f"{labels}, " if labels else ""
    return {
        f'{name}_bucket{{{given}le="{bound}"}}': slow,
        f'{name}_bucket{{{given}le="+Inf"}}': all_of_them,
        f"{name}_count{{{labels}}}": all_of_them,
    }


# alert -> series that make it fire, series that do not; values are those of every minute
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "ServiceDown": (
        {'up{job="airbyte"}': "1x70", 'up{job="minio"}': "0x70", 'up{job="pipeline"}': "1x70"},
        {f'up{{job="{service}"}}': "1x70" for service in SERVICES},
    ),
    "CertificateExpiresSoon": (
        {'certificate_expiration_timestamp_seconds{service="minio-s3"}': f"{20 * 86400}x70"},
        {'certificate_expiration_timestamp_seconds{service="minio-s3"}': f"{22 * 86400}x70"},
    ),
    "CertificateNotTrusted": (
        {'certificate_expiration_timestamp_seconds{service="minio-s3"}': "-1x70"},
        {'certificate_expiration_timestamp_seconds{service="minio-s3"}': f"{86400}x70"},
    ),
    "DiskAlmostFull": (
        {
            'elasticsearch_disk_available_bytes{node="a"}': "10x70",
            'elasticsearch_disk_total_bytes{node="a"}': "100x70",
        },
        {
            'elasticsearch_disk_available_bytes{node="a"}': "20x70",
            'elasticsearch_disk_total_bytes{node="a"}': "100x70",
        },
    ),
    "DiskFull": (
        {
            "minio_cluster_capacity_usable_free_bytes": "4x70",
            "minio_cluster_capacity_usable_total_bytes": "100x70",
        },
        {
            "minio_cluster_capacity_usable_free_bytes": "6x70",
            "minio_cluster_capacity_usable_total_bytes": "100x70",
        },
    ),
    "DiskFillsUp": (
        {"minio_cluster_capacity_usable_free_bytes": "10000-50x70"},
        {"minio_cluster_capacity_usable_free_bytes": "100000-50x70"},
    ),
    "ElasticsearchRed": (
        {'elasticsearch_cluster_health_status{color="red"}': "1x70"},
        {
            'elasticsearch_cluster_health_status{color="red"}': "0x70",
            'elasticsearch_cluster_health_status{color="yellow"}': "1x70",
        },
    ),
    "PostgresConnectionsHigh": (
        {
            'postgres_connections_active{database="airbyte"}': "50x70",
            'postgres_connections_active{database="superset"}': "35x70",
            "postgres_connections_limit": "100x70",
        },
        {
            'postgres_connections_active{database="airbyte"}': "75x70",
            "postgres_connections_limit": "100x70",
        },
    ),
    "ObjectStoreErrors": (
        {
            'minio_s3_requests_5xx_errors_total{api="putobject"}': "0+6x70",
            'minio_s3_requests_total{api="putobject"}': "0+100x70",
        },
        {
            'minio_s3_requests_5xx_errors_total{api="putobject"}': "0+4x70",
            'minio_s3_requests_total{api="putobject"}': "0+100x70",
        },
    ),
    "SyncFailed": (
        {f"airbyte_connection_last_sync_success{SYNC}": "0x70"},
        {f"airbyte_connection_last_sync_success{SYNC}": "1x70"},
    ),
    "SyncOverdue": (
        {
            f"airbyte_connection_last_success_timestamp_seconds{SYNC}": "0x70",
            "pipeline_schedule_interval_seconds": "1500x70",
        },
        {
            f"airbyte_connection_last_success_timestamp_seconds{SYNC}": "0x70",
            "pipeline_schedule_interval_seconds": "3600x70",
        },
    ),
    "SyncSlow": (
        histogram(
            "airbyte_sync_duration_seconds", 'connection_name="a"', "120.0", "1x70", "1x50 2x20"
        ),
        histogram(
            "airbyte_sync_duration_seconds",
            'connection_name="a"',
            "120.0",
            "1x50 2x20",
            "1x50 2x20",
        ),
    ),
    "PipelineRunFailed": (
        {"pipeline_last_run_success": "0x70"},
        {"pipeline_last_run_success": "1x70"},
    ),
    "PipelineOverdue": (
        {
            "pipeline_last_success_timestamp_seconds": "0x70",
            "pipeline_schedule_interval_seconds": "1500x70",
        },
        {"pipeline_last_success_timestamp_seconds": "0x70"},  # no schedule, never late
    ),
    "DbtRunFailed": ({"dbt_last_run_success": "0x70"}, {"dbt_last_run_success": "1x70"}),
    "DbtRunSlow": (
        {
            'dbt_model_execution_time{model="a", status="success"}': "20x70",
            'dbt_model_execution_time{model="b", status="success"}': "11x70",
        },
        {'dbt_model_execution_time{model="a", status="success"}': "29x70"},
    ),
    "ReflectionFailed": (
        {STATUS.format("FAILED"): "1x70"},
        {STATUS.format("CAN_ACCELERATE"): "1x70"},
    ),
    "ReflectionStale": (
        {STATUS.format("EXPIRED"): "1x70"},
        {STATUS.format("REFRESHING"): "1x70"},
    ),
    "ReflectionSlow": (
        histogram("dremio_reflection_refresh_seconds", "", "10.0", "1x70", "1x50 2x20"),
        histogram("dremio_reflection_refresh_seconds", "", "10.0", "1x50 2x20", "1x50 2x20"),
    ),
    "QueryQueueLong": ({"dremio_jobs_waiting": "11x70"}, {"dremio_jobs_waiting": "10x70"}),
    "QueriesSlow": (
        histogram("dremio_query_duration_seconds", FLIGHT, "0.1", "0+90x70", "0+100x70")
        | {f'{BUCKET}{{{FLIGHT}, le="0.25"}}': "0+100x70"},
        histogram("dremio_query_duration_seconds", FLIGHT, "0.1", "0+96x70", "0+100x70")
        # dbt's statements take longer, and nobody waits for them
        | histogram("dremio_query_duration_seconds", 'query_type="REST"', "0.1", "0x70", "0+9x70"),
    ),
    "QueriesFail": (
        {
            'dremio_query_duration_seconds_count{outcome="FAILED"}': "0+6x70",
            'dremio_query_duration_seconds_count{outcome="COMPLETED"}': "0+94x70",
        },
        {
            'dremio_query_duration_seconds_count{outcome="FAILED"}': "0+4x70",
            'dremio_query_duration_seconds_count{outcome="COMPLETED"}': "0+96x70",
        },
    ),
    "DashboardsSlow": (
        histogram("superset_dashboard_load_time", 'dashboard="1"', "5.0", "0+90x70", "0+100x70")
        | {'superset_dashboard_load_time_bucket{dashboard="1", le="8.0"}': "0+100x70"},
        histogram("superset_dashboard_load_time", 'dashboard="1"', "5.0", "0+96x70", "0+100x70"),
    ),
    "SnapshotOverdue": (
        {"elasticsearch_snapshot_timestamp_seconds": "-200000x70"},
        {"elasticsearch_snapshot_timestamp_seconds": "-86400x70"},
    ),
    "BackupOverdue": (
        {"lake_backup_timestamp_seconds": "-130000x70"},
        {"lake_backup_timestamp_seconds": "-86400x70"},
    ),
    "ArchiveFails": (
        {
            "postgres_archive_failure_timestamp_seconds": "1000x70",
            "postgres_archive_success_timestamp_seconds": "900x70",
        },
        {
            "postgres_archive_failure_timestamp_seconds": "1000x70",
            "postgres_archive_success_timestamp_seconds": "900x5 1060x65",
        },
    ),
    "AuditLogOverdue": (
        {'audit_last_collection_timestamp_seconds{service="dremio"}': "-3000x70"},
        {'audit_last_collection_timestamp_seconds{service="dremio"}': "900x70"},
    ),
    "RulesFail": (
        {'prometheus_rule_evaluation_failures_total{rule_group="a"}': "0+1x70"},
        {'prometheus_rule_evaluation_failures_total{rule_group="a"}': "0x70"},
    ),
}


@pytest.fixture
def promtool() -> Path:
    return installed(Paths.find().opt / "prometheus") / "bin" / "promtool"


def written(folder: Path, profile: str) -> list[Path]:
    found = []
    for name, text in alerts.files(SERVICES, profile).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        found.append(path)
    return found


def declared() -> list[dict]:
    groups = [
        group
        for text in alerts.files(SERVICES, "small").values()
        for group in yaml.safe_load(text)["groups"]
    ]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("profile", PROFILES)
def test_prometheus_accepts_the_rules_of_every_profile(promtool, tmp_path, profile):
    done = subprocess.run(
        [promtool, "check", "rules", *written(tmp_path, profile)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case():
    assert {rule["alert"] for rule in declared()} == set(CASES)


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "is silent"])
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should(promtool, tmp_path, alert, fires):
    selector = f'{{alertname="{alert}", alertstate="firing"}}'
    answer = {"labels": "{}", "value": 1} if fires else {"labels": selector, "value": 1}
    series = CASES[alert][0 if fires else 1]
    case = {
        "rule_files": [str(path) for path in written(tmp_path, "small")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"count(ALERTS{selector})"
                        if fires
                        else f"absent(ALERTS{selector})",
                        "eval_time": END,
                        "exp_samples": [answer],
                    }
                ],
            }
        ],
    }
    (tmp_path / "case.yml").write_text(yaml.safe_dump(case))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "case.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do():
    root = Path(alerts.__file__).parents[2]
    linked = {rule["annotations"]["runbook_url"] for rule in declared()}
    pages = {str(path.relative_to(root)) for path in (root / alerts.RUNBOOKS).glob("*.md")}
    assert linked == pages - {f"{alerts.RUNBOOKS}/README.md"}
    for page in linked:
        text = (root / page).read_text()
        for heading in ("## Meaning", "## Look", "## Mend"):
            assert heading in text, page
    index = (root / alerts.RUNBOOKS / "README.md").read_text()
    for rule in declared():
        assert re.search(rf"^\| {rule['alert']} \| {rule['labels']['severity']} ", index, re.M)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "serviceDown"}, "expected letters, the first of them a capital"),
        ({"severity": "page"}, "'page': expected one of warning, critical"),
        ({"held": "5"}, "held '5': expected a duration such as 5m"),
        ({"runbook": ""}, "runbook: expected a text"),
    ],
)
def test_an_alert_that_nobody_could_act_on_is_refused(wrong, message):
    good = {
        "name": "A",
        "expr": "up",
        "held": "1m",
        "severity": "warning",
        "summary": "s",
        "runbook": "r",
    }
    with pytest.raises(ValueError, match=message):
        Alert(**{**good, **wrong})
