"""A production stack that every rule accepts, and one mutation or more per rule that it refuses.

Properties are spelled as the official SDKs and our own resources send them to the engine.
"""

import copy
import json
from dataclasses import dataclass
from typing import Any

from flow.commerce import FLOW
from policies.model import Environment, Resource, Stack
from policies.values import Node, Secret

DIGEST = "@sha256:" + "ab" * 32
SPACE = "dataflow"

POSTGRESQL_CONF = """\
ssl = on
ssl_min_protocol_version = 'TLSv1.3'
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'pg_stat_statements,pgaudit'
pgaudit.log = 'ddl, role, write'
log_destination = 'jsonlog'
logging_collector = on
log_file_mode = 0600
log_connections = on
log_disconnections = on
archive_mode = on
"""
PG_HBA = """\
# type  database  user  address     method
local   all       all               peer
hostssl all       all   10.0.0.0/8  scram-sha-256
host    all       all   0.0.0.0/0   reject
"""
SUPERSET_CONFIG = """\
from pathlib import Path
SECRET_KEY = Path("/run/secrets/key").read_text()
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {"force_https": True, "content_security_policy": {"default-src": ["'self'"]}}
PUBLIC_ROLE_LIKE = None
ENABLE_CORS = False
WTF_CSRF_ENABLED = True
RATELIMIT_ENABLED = True
AUTH_USER_REGISTRATION = False
PREVENT_UNSAFE_DB_CONNECTIONS = True
ROW_LIMIT = 50_000
SQLLAB_TIMEOUT = 30
"""
ELASTICSEARCH_YML = """\
xpack.security.enabled: true
xpack.security.http.ssl:
  enabled: true
  supported_protocols: [TLSv1.3, TLSv1.2]
xpack.security.transport.ssl.enabled: true
"""
DAEMON_JSON = json.dumps(
    {
        "userns-remap": "default",
        "icc": False,
        "live-restore": True,
        "log-opts": {"max-size": "10m"},
        "hosts": ["tcp://0.0.0.0:2376"],
        "tlsverify": True,
    }
)
AIRBYTE = {"authEnabled": True, "database": {"dbname": "airbyte", "sslmode": "verify-full"}}
AUDIT = {"dataflow/audit-sink": "logs", "dataflow/audit-retention-days": "90"}


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": SPACE, "labels": {"app": name}, **more}


def container(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": f"quay.io/dataflow/{name}:1.2.3{DIGEST}",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            "privileged": False,
            "procMount": "Default",
            "readOnlyRootFilesystem": True,
        },
        "resources": {
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
        },
        "env": [
            {"name": "LEVEL", "value": "info"},
            {"name": "PGSSLMODE", "value": "verify-full"},
        ],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "ports": [{"containerPort": 8443}],
        **more,
    }


PROBES = {
    "livenessProbe": {"httpGet": {"path": "/live", "port": 8443, "scheme": "HTTPS"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8443, "scheme": "HTTPS"}},
    "startupProbe": {"httpGet": {"path": "/live", "port": 8443, "scheme": "HTTPS"}},
}


def pod(name: str, **probes: Any) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": name}, "annotations": dict(AUDIT)},
        "spec": {
            "automountServiceAccountToken": False,
            "serviceAccountName": name,
            "hostNetwork": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10_001,
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}],
            },
            "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "config", "configMap": {"name": "settings"}},
            ],
            "initContainers": [container("prepare")],
            "containers": [container(name, **probes)],
        },
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: list[str], resource: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


DENY_CLEAR_TEXT = {
    "Effect": "Deny",
    "Principal": {"AWS": ["*"]},
    "Action": ["s3:*"],
    "Resource": ["arn:aws:s3:::datalake/*"],
    "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
}
WRITE_BRONZE = allow(["s3:PutObject", "s3:GetObject"], ["arn:aws:s3:::datalake/bronze/*"])

K8S, DYNAMIC = "kubernetes", "pulumi-python:dynamic/dataflow"
NETWORKING = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
GATEWAY_API = "kubernetes:gateway.networking.k8s.io/v1"

# key -> type, properties
GOLDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "stack": ("pulumi:pulumi:Stack", {"supersetUrl": "https://bi.example.com"}),
    "component": ("dataflow:processing:Dremio", {"flight": "grpc+tls://dremio:32010"}),
    "deployment": (
        "kubernetes:apps/v1:Deployment",
        {
            "metadata": meta("dremio"),
            "spec": {"replicas": 2, "template": pod("dremio", **PROBES)},
        },
    ),
    "statefulset": (
        "kubernetes:apps/v1:StatefulSet",
        {
            "metadata": meta("minio"),
            "spec": {
                "replicas": 4,
                "template": pod("minio", **PROBES),
                "volumeClaimTemplates": [{"spec": {"storageClassName": "encrypted"}}],
            },
        },
    ),
    "cronjob": (
        "kubernetes:batch/v1:CronJob",
        {
            "metadata": meta("backup"),
            "spec": {
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {
                    "spec": {
                        "backoffLimit": 2,
                        "activeDeadlineSeconds": 3600,
                        "ttlSecondsAfterFinished": 3600,
                        "template": pod("backup"),
                    }
                },
            },
        },
    ),
    "account": (
        "kubernetes:core/v1:ServiceAccount",
        {"metadata": meta("dremio"), "automountServiceAccountToken": False},
    ),
    "role": (
        "kubernetes:rbac.authorization.k8s.io/v1:Role",
        {
            "metadata": meta("reader"),
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["secrets"],
                    "resourceNames": ["own"],
                    "verbs": ["get"],
                }
            ],
        },
    ),
    "binding": (
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
        {"metadata": meta("reader"), "roleRef": {"kind": "ClusterRole", "name": "reader"}},
    ),
    "namespace": (
        "kubernetes:core/v1:Namespace",
        {
            "metadata": {
                "name": SPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            }
        },
    ),
    "deny": (
        NETWORKING,
        {
            "metadata": meta("deny"),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
    ),
    "edges": (
        NETWORKING,
        {
            "metadata": meta("edges"),
            "spec": {
                "podSelector": {"matchLabels": {"app": "dremio"}},
                "policyTypes": ["Egress"],
                "egress": [
                    {"ports": [{"port": 53, "protocol": "UDP"}]},
                    {
                        "to": [{"podSelector": {"matchLabels": {"app": "minio"}}}],
                        "ports": [{"port": 9000}],
                    },
                ],
            },
        },
    ),
    "service": (
        "kubernetes:core/v1:Service",
        {"metadata": meta("dremio"), "spec": {"type": "ClusterIP"}},
    ),
    "gateway": (
        f"{GATEWAY_API}:Gateway",
        {
            "metadata": meta("edge"),
            "spec": {
                "listeners": [
                    {
                        "name": "https",
                        "protocol": "HTTPS",
                        "tls": {"mode": "Terminate", "certificateRefs": [{"name": "edge"}]},
                    },
                    {"name": "http", "protocol": "HTTP"},
                ]
            },
        },
    ),
    "redirect": (
        f"{GATEWAY_API}:HTTPRoute",
        {
            "metadata": meta("redirect"),
            "spec": {
                "parentRefs": [{"name": "edge", "sectionName": "http"}],
                "rules": [
                    {
                        "filters": [
                            {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
                        ]
                    }
                ],
            },
        },
    ),
    "configmap": (
        "kubernetes:core/v1:ConfigMap",
        {
            "metadata": meta("settings"),
            "data": {
                "app.yaml": "passwordFile: /run/secrets/password",
                "app.json": json.dumps({"database": {"dbname": "app", "user": "app"}}),
                "postgresql.conf": POSTGRESQL_CONF,
                "pg_hba.conf": PG_HBA,
                "superset_config.py": SUPERSET_CONFIG,
                "elasticsearch.yml": ELASTICSEARCH_YML,
                "dremio.conf": "services: { coordinator.web.ssl.enabled: true,\n"
                "services.flight.ssl.enabled: true,\nservices.web.ssl.enabled: true }",
            },
        },
    ),
    "budget-dremio": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        {"metadata": meta("dremio"), "spec": {"selector": {"matchLabels": {"app": "dremio"}}}},
    ),
    "budget-minio": (
        "kubernetes:policy/v1:PodDisruptionBudget",
        {
            "metadata": meta("minio"),
            "spec": {
                "selector": {
                    "matchExpressions": [{"key": "app", "operator": "In", "values": ["minio"]}]
                }
            },
        },
    ),
    "storageclass": (
        "kubernetes:storage.k8s.io/v1:StorageClass",
        {
            "metadata": {"name": "encrypted"},
            "parameters": {"encrypted": "true"},
            "reclaimPolicy": "Retain",
        },
    ),
    "claim": (
        "kubernetes:core/v1:PersistentVolumeClaim",
        {"metadata": meta("data"), "spec": {"storageClassName": "encrypted"}},
    ),
    "certificate": (
        "kubernetes:cert-manager.io/v1:Certificate",
        {
            "metadata": meta("edge"),
            "spec": {
                "duration": "2160h",
                "renewBefore": "720h",
                "dnsNames": ["bi.example.com"],
                "issuerRef": {"name": "ca"},
            },
        },
    ),
    "owncertificate": (
        f"{DYNAMIC}/local:Certificate",
        {"name": "dremio", "hosts": ["localhost"], "durationDays": 90, "renewBeforeDays": 30},
    ),
    "issuedcertificate": (
        f"{DYNAMIC}/local:IssuedCertificate",
        {"name": "dremio", "hosts": ["dremio"], "durationDays": 90, "renewBeforeDays": 30},
    ),
    "monitors": (
        "kubernetes:monitoring.coreos.com/v1:ServiceMonitor",
        {"metadata": meta("dremio"), "spec": {}},
    ),
    "monitor-minio": (
        "kubernetes:monitoring.coreos.com/v1:PodMonitor",
        {"metadata": meta("minio"), "spec": {}},
    ),
    "alerts": (
        "kubernetes:monitoring.coreos.com/v1:PrometheusRule",
        {
            "metadata": meta("alerts"),
            "spec": {
                "groups": [
                    {
                        "rules": [
                            {
                                "alert": "Down",
                                "expr": 'up{job=~"dremio|minio|container|postgres-db"} == 0',
                                "annotations": {"runbook_url": "https://docs.example.com/down"},
                            }
                        ]
                    }
                ]
            },
        },
    ),
    "cnpg": (
        "kubernetes:postgresql.cnpg.io/v1:Cluster",
        {
            "metadata": meta("postgres"),
            "spec": {
                "enableSuperuserAccess": False,
                "monitoring": {"tls": {"enabled": True}},
                "bootstrap": {"initdb": {"dataChecksums": True}},
                "backup": {"retentionPolicy": "30d", "barmanObjectStore": {"endpointURL": "s"}},
                "managed": {"roles": [{"name": "airbyte", "login": True, "connectionLimit": 20}]},
                "postgresql": {
                    "parameters": {
                        "log_connections": "on",
                        "log_disconnections": "on",
                        "pgaudit.log": "ddl, role, write",
                    },
                    "pg_hba": ["hostssl all all 10.0.0.0/8 scram-sha-256"],
                },
            },
        },
    ),
    "eck": (
        "kubernetes:elasticsearch.k8s.elastic.co/v1:Elasticsearch",
        {
            "metadata": meta("search"),
            "spec": {
                "http": {"tls": {"certificate": {"secretName": "search"}}},
                "auth": {"disableElasticUser": True},
                "nodeSets": [{"config": {"xpack.security.enabled": True}}],
            },
        },
    ),
    "chart": (
        "kubernetes:helm.sh/v3:Release",
        {
            "chart": "airbyte",
            "values": {
                "global": {
                    "auth": {"enabled": True, "cookieSecureSetting": "true"},
                    "airbyteUrl": "https://airbyte.example.com",
                    "database": {"type": "external"},
                    "storage": {"type": "s3"},
                    "secretsManager": {"enabled": True},
                    "tracking": {"strategy": "logging"},
                },
                "minio": {"enabled": False},
                "postgresql": {"enabled": False},
            },
        },
    ),
    "container": (
        "docker:index/container:Container",
        {
            "name": "container",
            "image": f"ghcr.io/dataflow/superset:1.2.3{DIGEST}",
            "user": "10001",
            "ports": [{"internal": 8088, "external": 8088, "ip": "127.0.0.1"}],
            "publishAllPorts": False,
            "readOnly": True,
            "tmpfs": {"/tmp": ""},
            "capabilities": {"drops": ["ALL"]},
            "securityOpts": ["no-new-privileges:true"],
            "privileged": False,
            "memory": 512,
            "cpus": "1.0",
            "ulimits": [
                {"name": "nofile", "soft": 1024, "hard": 1024},
                {"name": "nproc", "soft": 100, "hard": 100},
            ],
            "healthcheck": {"tests": ["CMD", "true"]},
            "restart": "on-failure",
            "maxRetryCount": 5,
            "networksAdvanced": [{"name": "data"}],
            "volumes": [
                {"volumeName": "data", "containerPath": "/data"},
                {"hostPath": "/srv/ca.pem", "containerPath": "/ca.pem", "readOnly": True},
            ],
            "envs": [
                "MINIO_ROOT_USER=minio-root",
                "MINIO_BROWSER=off",
                "TRACKING_STRATEGY=logging",
                "xpack.security.enabled=true",
                "xpack.security.http.ssl.enabled=true",
                "xpack.security.transport.ssl.enabled=true",
                Secret("METADATA=postgresql://bi:x@db/superset?sslmode=verify-full"),
                "PGSSLMODE=verify-full",
            ],
            "mounts": [{"type": "volume", "source": "of-container", "target": "/dataflow"}],
            "labels": [{"label": key, "value": value} for key, value in AUDIT.items()],
            "uploads": [
                {"file": "/etc/docker/daemon.json", "content": DAEMON_JSON},
                {
                    "file": "/etc/prometheus.yml",
                    "content": "scrape_configs: [{job_name: container}, {job_name: postgres-db}]",
                },
            ],
        },
    ),
    "postgres": (
        f"{DYNAMIC}/local:Process",
        {
            "name": "postgres-db",
            "command": ["postgres"],
            "environment": dict(AUDIT),
            "files": {
                "postgresql.conf": POSTGRESQL_CONF,
                "pg_hba.conf": PG_HBA,
                "airbyte.json": json.dumps(AIRBYTE),
                "dremio.json": json.dumps({"tls": {"certificateFile": "c"}}),
            },
            "secretFiles": {"secret-key": Secret("k" * 64)},
            "init": [{"command": ["initdb", "--data-checksums"]}],
        },
    ),
    "container-files": (
        "docker:index/container:Container",
        {
            "name": "container-files",
            "image": f"ghcr.io/dataflow/platform:1.2.3{DIGEST}",
            "user": "10001",
            "capabilities": {"drops": ["ALL"]},
            "securityOpts": ["no-new-privileges:true"],
            "memory": 32,
            "cpus": "0.1",
            "ulimits": [{"name": "nofile"}, {"name": "nproc"}],
            "restart": "no",
            "networkMode": "none",
            "start": False,
            "mustRun": False,
            "mounts": [{"type": "volume", "source": "of-container", "target": "/dataflow"}],
            "uploads": [
                {"file": "/dataflow/config/bi.json", "content": json.dumps({"dbname": "bi"})}
            ],
        },
    ),
    "network": ("docker:index/network:Network", {"name": "data", "internal": True}),
    "docker": ("pulumi:providers:docker", {"host": "unix:///var/run/docker.sock"}),
    "image": (
        "docker:index/image:Image",
        {
            "build": {"dockerfile": "Dockerfile"},
            "dockerfileText": "FROM x\nUSER 10001\nHEALTHCHECK CMD true\n",
        },
    ),
    "bucket": (
        "minio:index/s3Bucket:S3Bucket",
        {"bucket": "lake-audit", "acl": "private", "objectLocking": True},
    ),
    "bucketpolicy": (
        "minio:index/s3BucketPolicy:S3BucketPolicy",
        {"bucket": "lake-audit", "policy": policy(DENY_CLEAR_TEXT)},
    ),
    "versioning": (
        "minio:index/s3BucketVersioning:S3BucketVersioning",
        {"bucket": "lake-audit", "versioningConfiguration": {"status": "Enabled"}},
    ),
    "retention": (
        "minio:index/s3BucketRetention:S3BucketRetention",
        {"bucket": "lake-audit", "mode": "COMPLIANCE", "validityPeriod": 90, "unit": "DAYS"},
    ),
    "lifecycle": (
        "minio:index/ilmPolicy:IlmPolicy",
        {
            "bucket": "lake-audit",
            "rules": [
                {"id": "old", "noncurrentVersionExpirationDays": 7},
                {"id": "pii", "filter": "bronze/postgres/customers/", "expiration": "3650d"},
            ],
        },
    ),
    "encryption": (
        "minio:index/s3BucketServerSideEncryption:S3BucketServerSideEncryption",
        {"bucket": "lake-audit", "encryptionType": "aws:kms"},
    ),
    "user": (
        "minio:index/iamUser:IamUser",
        {"name": "airbyte", "secret": Secret("a very long password")},
    ),
    "iampolicy": (
        "minio:index/iamPolicy:IamPolicy",
        {"name": "airbyte", "policy": policy(WRITE_BRONZE)},
    ),
    "attachment": (
        "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment",
        {"userName": "airbyte", "policyName": "airbyte"},
    ),
    "pgrole": (
        "postgresql:index/role:Role",
        {"name": "airbyte", "login": True, "superuser": False, "connectionLimit": 20},
    ),
    "pggrant": (
        "postgresql:index/grant:Grant",
        {"role": "airbyte_reader", "privileges": ["SELECT"], "objectType": "table"},
    ),
    "pgprovider": ("pulumi:providers:postgresql", {"sslmode": "verify-full"}),
    "esuser": (
        "elasticstack:index/securityUser:SecurityUser",
        {"username": "logs", "roles": ["logs"], "password": Secret("p")},
    ),
    "esrole": (
        "elasticstack:index/securityRole:SecurityRole",
        {
            "name": "logs",
            "clusters": ["monitor"],
            "indices": [{"names": ["airbyte-logs-*"], "privileges": ["create_doc"]}],
        },
    ),
    "template": (
        "elasticstack:index/indexTemplate:IndexTemplate",
        {
            "indexPatterns": ["airbyte-logs-*"],
            "template": {"settings": json.dumps({"index.lifecycle.name": "logs"})},
        },
    ),
    "ilm": (
        "elasticstack:index/indexLifecycle:IndexLifecycle",
        {"name": "logs", "delete": {"minAge": "90d", "delete": {}}},
    ),
    "source": (
        f"{DYNAMIC}/airbyte:Source",
        {
            "name": "postgres",
            "configuration": {"sourceType": "postgres", "ssl_mode": {"mode": "verify-full"}},
        },
    ),
    "destination": (
        f"{DYNAMIC}/airbyte:Destination",
        {
            "name": "datalake",
            "configuration": {
                "destinationType": "s3",
                "s3_bucket_path": "bronze/postgres",
                "s3_bucket_region": "us-east-1",
                "access_key_id": "airbyte",
                "secret_access_key": Secret("x"),
            },
        },
    ),
    "connection": (
        f"{DYNAMIC}/airbyte:Connection",
        {
            "name": "postgres",
            "schedule": {"scheduleType": "manual"},
            "streams": [
                {
                    "name": "customers",
                    "syncMode": "incremental_deduped_history",
                    "cursorField": ["updated_at"],
                    "primaryKey": [["customer_id"]],
                }
            ],
        },
    ),
    "lake": (
        f"{DYNAMIC}/dremio:Source",
        {
            "name": "lake",
            "type": "S3",
            "config": {"secure": True, "accessKey": "dremio", "accessSecret": Secret("x")},
            "accelerationActivePolicyType": "PERIOD",
            "accelerationRefreshPeriodMs": 3_600_000,
            "accelerationGracePeriodMs": 10_800_000,
        },
    ),
    "grant": (
        f"{DYNAMIC}/dremio:Grant",
        {
            "path": ["gold", "customer_metrics"],
            "grants": [{"granteeType": "ROLE", "name": "analyst", "privileges": ["SELECT"]}],
        },
    ),
    "reflection": (
        f"{DYNAMIC}/dremio:RawReflection",
        {"datasetPath": ["bronze", "customers"], "displayFields": ["customer_id", "name"]},
    ),
    "view": (
        f"{DYNAMIC}/dremio:View",
        {"path": ["silver", "orders"], "sql": 'SELECT * FROM "bronze"."orders"'},
    ),
    "bi": (
        f"{DYNAMIC}/superset:Database",
        {"name": "Dremio", "sqlalchemyUri": Secret("dremio+flight://u:p@h"), "allowDml": False},
    ),
    "birole": (
        f"{DYNAMIC}/superset:Role",
        {"name": "analyst", "permissions": ["schema_access on [Dremio].[gold]"]},
    ),
    "dashboard": (
        f"{DYNAMIC}/superset:Dashboard",
        {"slug": "customer-analytics", "roles": ["analyst"]},
    ),
}


@dataclass(frozen=True)
class Mutation:
    """One property of one golden resource, set to a value that a rule must refuse.

    path: keys and indices; a missing last key is added. also: other rules that refuse it too.
    """

    rule: str
    resource: str
    path: tuple[str | int, ...]
    value: Any
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule}-{self.resource}-{'.'.join(map(str, self.path))}"


POD: tuple[str | int, ...] = ("spec", "template", "spec")
MAIN: tuple[str | int, ...] = (*POD, "containers", 0)
SECURITY = (*MAIN, "securityContext")
CRON = ("spec", "jobTemplate", "spec")
CONF = ("files", "postgresql.conf")
HBA = ("files", "pg_hba.conf")


def _conf(old: str, new: str) -> str:
    assert old in POSTGRESQL_CONF
    return POSTGRESQL_CONF.replace(old, new)


def _superset(old: str, new: str) -> str:
    assert old in SUPERSET_CONFIG
    return SUPERSET_CONFIG.replace(old, new)


SUPERSET_FILE = ("data", "superset_config.py")
LEAK = "postgresql://app:hunter22@db/app?sslmode=verify-full"

MUTATIONS = [
    Mutation("K01", "deployment", (*POD, "hostNetwork"), True),
    Mutation("K01", "cronjob", (*CRON, "template", "spec", "hostPID"), True),
    Mutation("K02", "deployment", (*SECURITY, "privileged"), True),
    Mutation("K03", "deployment", (*SECURITY, "allowPrivilegeEscalation"), True),
    Mutation("K04", "deployment", (*SECURITY, "capabilities", "drop"), ["NET_RAW"]),
    Mutation("K04", "deployment", (*SECURITY, "capabilities", "add"), ["SYS_ADMIN"]),
    Mutation("K05", "deployment", (*SECURITY, "runAsNonRoot"), False),
    Mutation("K05", "deployment", (*SECURITY, "runAsUser"), 0, also=("K06",)),
    Mutation("K06", "deployment", (*POD, "securityContext", "runAsUser"), 1000),
    Mutation("K07", "deployment", (*SECURITY, "seccompProfile"), {"type": "Unconfined"}),
    Mutation("K08", "deployment", (*SECURITY, "readOnlyRootFilesystem"), False),
    Mutation(
        "K09",
        "deployment",
        (*POD, "volumes", 0),
        {"name": "tmp", "hostPath": {"path": "/x"}},
        also=("K08",),
    ),
    Mutation("K10", "deployment", (*MAIN, "ports", 0, "hostPort"), 8443),
    Mutation("K11", "deployment", (*SECURITY, "procMount"), "Unmasked"),
    Mutation(
        "K11", "deployment", (*POD, "securityContext", "sysctls", 0, "name"), "kernel.msgmax"
    ),
    Mutation("K11", "deployment", (*SECURITY, "seLinuxOptions"), {"role": "sysadm_r"}),
    Mutation("K12", "deployment", (*MAIN, "image"), "quay.io/dataflow/dremio:1.2.3"),
    Mutation("K12", "deployment", (*MAIN, "image"), f"registry.example.com/dremio{DIGEST}"),
    Mutation("K13", "deployment", (*MAIN, "image"), f"minio/minio{DIGEST}"),
    Mutation("K13", "container", ("image",), f"bitnami/redis{DIGEST}"),
    Mutation("K14", "deployment", (*MAIN, "resources", "limits", "memory"), ""),
    Mutation("K15", "deployment", (*MAIN, "readinessProbe"), None),
    Mutation("K15", "deployment", (*MAIN, "livenessProbe", "httpGet", "scheme"), "HTTP"),
    Mutation("K15", "deployment", (*MAIN, "startupProbe"), None),
    Mutation("K16", "deployment", (*POD, "automountServiceAccountToken"), True),
    Mutation("K16", "account", ("automountServiceAccountToken",), None),
    Mutation("K17", "deployment", (*POD, "serviceAccountName"), "default"),
    Mutation("K18", "role", ("rules", 0, "verbs"), ["*"]),
    Mutation("K19", "role", ("rules", 0, "verbs"), ["get", "impersonate"]),
    Mutation("K19", "role", ("rules", 0, "resourceNames"), []),
    Mutation("K20", "binding", ("roleRef", "name"), "cluster-admin"),
    Mutation(
        "K21",
        "namespace",
        ("metadata", "labels"),
        {"pod-security.kubernetes.io/enforce": "privileged"},
    ),
    Mutation("K22", "deny", ("spec", "policyTypes"), ["Ingress"]),
    Mutation(
        "K22",
        "deny",
        ("spec", "egress"),
        [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 1}]}],
    ),
    Mutation("K23", "edges", ("spec", "egress", 1, "to"), []),
    Mutation("K23", "edges", ("spec", "egress", 1, "to", 0), {"ipBlock": {"cidr": "0.0.0.0/0"}}),
    Mutation(
        "K23",
        "edges",
        ("spec", "egress", 1, "to", 0),
        {"podSelector": {"matchLabels": {"dataflow/service": "superset"}}},
    ),
    Mutation("K24", "service", ("spec", "type"), "LoadBalancer"),
    Mutation("K25", "gateway", ("spec", "listeners", 0, "protocol"), "HTTP"),
    Mutation("K25", "gateway", ("spec", "listeners", 0, "tls", "certificateRefs"), []),
    Mutation("K25", "redirect", ("spec", "rules", 0, "filters"), []),
    Mutation(
        "K26",
        "deployment",
        (*MAIN, "env", 0),
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s"}}},
    ),
    Mutation("K27", "configmap", ("data", "app.yaml"), "password: hunter22", also=("X02",)),
    Mutation("K27", "deployment", (*MAIN, "args"), [f"--db={LEAK}"], also=("X02",)),
    Mutation("K28", "deployment", ("spec", "replicas"), 1),
    Mutation("K28", "statefulset", ("spec", "replicas"), 3),
    Mutation("K28", "deployment", (*POD, "topologySpreadConstraints"), []),
    Mutation("K28", "budget-dremio", ("spec", "selector", "matchLabels", "app"), "other"),
    Mutation("K29", "claim", ("spec", "storageClassName"), "standard"),
    Mutation("K29", "storageclass", ("reclaimPolicy",), "Delete"),
    Mutation("K30", "cronjob", (*CRON, "backoffLimit"), None),
    Mutation("D01", "container", ("user",), "root"),
    Mutation("D02", "container", ("ports", 0, "ip"), "0.0.0.0"),
    Mutation("D03", "container", ("readOnly",), False),
    Mutation("D03", "container", ("capabilities", "drops"), []),
    Mutation("D03", "container", ("securityOpts",), []),
    Mutation("D03", "container", ("privileged",), True),
    Mutation("D04", "container", ("memory",), None),
    Mutation("D04", "container", ("ulimits",), [{"name": "nofile"}]),
    Mutation("D05", "container", ("restart",), "always"),
    Mutation("D05", "container", ("healthcheck", "tests"), []),
    Mutation("D06", "container", ("networkMode",), "host"),
    Mutation("D06", "network", ("internal",), False),
    Mutation("D07", "container", ("volumes", 1, "hostPath"), "/var/run/docker.sock"),
    Mutation("D07", "container", ("volumes", 1, "readOnly"), False),
    Mutation("D08", "container", ("image",), "ghcr.io/dataflow/superset:1.2.3"),
    Mutation("D08", "image", ("dockerfileText",), "FROM x\nUSER 1\n"),
    Mutation("D09", "docker", ("host",), "tcp://10.0.0.1:2375"),
    Mutation(
        "D09",
        "container",
        ("uploads", 0, "content"),
        DAEMON_JSON.replace('"icc": false', '"icc": true'),
    ),
    Mutation("S01", "bucketpolicy", ("policy",), policy()),
    Mutation("S02", "bucket", ("acl",), "public-read"),
    Mutation(
        "S02",
        "bucketpolicy",
        ("policy",),
        policy(DENY_CLEAR_TEXT, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}),
    ),
    Mutation("S03", "versioning", ("versioningConfiguration", "status"), "Suspended"),
    Mutation("S04", "bucket", ("objectLocking",), False),
    Mutation("S04", "retention", ("bucket",), "another"),
    Mutation("S04", "retention", ("mode",), "GOVERNANCE"),
    Mutation("S04", "retention", ("validityPeriod",), 89),
    Mutation("S05", "lifecycle", ("rules", 0, "filter"), "tmp/"),
    Mutation("S05", "container", ("envs", 0), "MINIO_API_STALE_UPLOADS_EXPIRY=720h"),
    Mutation(
        "S05", "lifecycle", ("rules", 0), {"id": "other", "expiration": "9d", "filter": "x/"}
    ),
    Mutation("S06", "encryption", ("bucket",), "other"),
    Mutation(
        "S07",
        "iampolicy",
        ("policy",),
        policy(WRITE_BRONZE, allow(["s3:GetObject"], ["arn:aws:s3:::datalake/gold/*"])),
    ),
    Mutation("S07", "attachment", ("userName",), "other"),
    Mutation("S07", "destination", ("configuration", "access_key_id"), "minio-root"),
    Mutation(
        "S08",
        "iampolicy",
        ("policy",),
        policy(allow(["s3:*"], ["arn:aws:s3:::datalake/silver/*"])),
    ),
    Mutation(
        "S08",
        "iampolicy",
        ("policy",),
        policy(allow(["s3:GetObject"], ["arn:aws:s3:::datalake/*"])),
    ),
    Mutation("S09", "container", ("envs", 0), "MINIO_PROMETHEUS_AUTH_TYPE=public"),
    Mutation("S09", "container", ("envs", 1), "MINIO_BROWSER=on"),
    Mutation("P01", "postgres", CONF, _conf("ssl = on", "ssl = off")),
    Mutation("P01", "postgres", CONF, _conf("TLSv1.3", "TLSv1.1")),
    Mutation("P01", "postgres", HBA, "host all all 10.0.0.0/8 scram-sha-256"),
    Mutation("P01", "configmap", ("data", "pg_hba.conf"), "host all all 10.0.0.0/8 cert"),
    Mutation("P02", "postgres", HBA, "hostssl all all 10.0.0.0/8 trust"),
    Mutation("P02", "postgres", HBA, "hostssl all all 0.0.0.0/0 scram-sha-256"),
    Mutation(
        "P02",
        "cnpg",
        ("spec", "postgresql", "pg_hba", 0),
        "hostssl all all 10.0.0.0 255.0.0.0 md5",
    ),
    Mutation(
        "P03",
        "postgres",
        CONF,
        _conf("pg_stat_statements,pgaudit", "pg_stat_statements").replace(
            "pgaudit.log", "other.log"
        ),
    ),
    Mutation("P03", "cnpg", ("spec", "postgresql", "parameters", "pgaudit.log"), "ddl"),
    Mutation("P04", "postgres", CONF, _conf("log_disconnections = on", "")),
    Mutation("P04", "postgres", CONF, _conf("0600", "0644")),
    Mutation("P05", "pgrole", ("superuser",), True),
    Mutation("P05", "pgrole", ("connectionLimit",), -1),
    Mutation("P05", "pggrant", ("role",), "public"),
    Mutation("P05", "cnpg", ("spec", "managed", "roles", 0, "createrole"), True),
    Mutation("P06", "postgres", ("init",), []),
    Mutation("P06", "postgres", CONF, _conf("archive_mode = on", "archive_mode = off")),
    Mutation("P06", "cnpg", ("spec", "backup"), {}),
    Mutation("P07", "pgprovider", ("sslmode",), "require"),
    Mutation("P07", "source", ("configuration", "ssl_mode"), {"mode": "disable"}),
    Mutation(
        "P07",
        "postgres",
        ("files", "airbyte.json"),
        json.dumps({"authEnabled": True, "database": {"dbname": "a", "sslmode": "prefer"}}),
    ),
    Mutation("P07", "container", ("envs", 7), "PGSSLMODE=prefer"),
    Mutation(
        "P07",
        "container-files",
        ("uploads", 0, "content"),
        json.dumps({"dbname": "bi", "sslmode": "prefer"}),
    ),
    Mutation(
        "P07",
        "container",
        ("envs", 6),
        Secret("METADATA=postgresql://bi:x@db/superset?sslmode=prefer"),
    ),
    Mutation("P07", "deployment", (*MAIN, "env", 1, "value"), "prefer"),
    Mutation("R01", "configmap", ("data", "dremio.conf"), "services.coordinator.enabled: true"),
    Mutation("P08", "cnpg", ("spec", "enableSuperuserAccess"), True),
    Mutation("E01", "eck", ("spec", "http", "tls"), {"selfSignedCertificate": {"disabled": True}}),
    Mutation(
        "E01",
        "configmap",
        ("data", "elasticsearch.yml"),
        ELASTICSEARCH_YML.replace("TLSv1.3", "TLSv1"),
    ),
    Mutation("E01", "container", ("envs", 4), "xpack.security.http.ssl.enabled=false"),
    Mutation("E02", "eck", ("spec", "auth", "disableElasticUser"), False),
    Mutation("E02", "esuser", ("roles",), ["superuser"]),
    Mutation("E02", "esrole", ("indices", 0, "names"), ["*"]),
    Mutation("E03", "template", ("template", "settings"), "{}"),
    Mutation("E03", "ilm", ("delete", "minAge"), "30d"),
    Mutation("E03", "ilm", ("delete", "delete"), None),
    Mutation("E03", "esrole", ("indices", 0, "privileges"), ["write"]),
    Mutation("A01", "chart", ("values", "global", "auth", "enabled"), False),
    Mutation("A01", "chart", ("values", "global", "airbyteUrl"), "http://airbyte"),
    Mutation("A01", "postgres", ("files", "airbyte.json"), json.dumps({"authEnabled": False})),
    Mutation("A02", "chart", ("values", "minio", "enabled"), True),
    Mutation("A03", "chart", ("values", "global", "secretsManager"), {}),
    Mutation("A03", "container", ("envs", 2), "TRACKING_STRATEGY=segment"),
    Mutation("A04", "connection", ("schedule", "scheduleType"), None),
    Mutation("A04", "connection", ("streams", 0, "primaryKey"), []),
    Mutation(
        "A04", "postgres", ("files", "airbyte.json"), json.dumps({**AIRBYTE, "maxAttempts": 21})
    ),
    Mutation(
        "A04",
        "chart",
        ("values", "global", "env_vars"),
        {"SYNC_JOB_RETRIES_COMPLETE_FAILURES_MAX_TOTAL": "100"},
    ),
    Mutation("A04", "destination", ("configuration", "s3_bucket_path"), "gold/postgres"),
    Mutation("R01", "lake", ("config", "secure"), False),
    Mutation("R01", "postgres", ("files", "dremio.json"), "{}"),
    Mutation("R01", "configmap", ("data", "dremio.conf"), "services.web.ssl.enabled: true"),
    Mutation("R02", "grant", ("grants", 0, "privileges"), ["SELECT", "ALTER"]),
    Mutation("R02", "grant", ("grants", 0, "name"), "PUBLIC", also=("F02",)),
    Mutation("R03", "lake", ("accelerationActivePolicyType",), "NEVER"),
    Mutation("U01", "postgres", ("secretFiles", "secret-key"), Secret("tiny")),
    Mutation("U01", "postgres", ("secretFiles", "secret-key"), "k" * 64),
    Mutation(
        "U01",
        "configmap",
        SUPERSET_FILE,
        _superset('Path("/run/secrets/key").read_text()', '"' + "k" * 64 + '"'),
        also=("K27", "X02"),
    ),
    Mutation(
        "U02",
        "configmap",
        SUPERSET_FILE,
        _superset("COOKIE_SECURE = True", "COOKIE_SECURE = False"),
    ),
    Mutation(
        "U02", "configmap", SUPERSET_FILE, _superset('"force_https": True', '"force_https": False')
    ),
    Mutation("U03", "configmap", SUPERSET_FILE, _superset("LIKE = None", 'LIKE = "Gamma"')),
    Mutation("U03", "configmap", SUPERSET_FILE, _superset("CORS = False", "CORS = True")),
    Mutation("U04", "bi", ("allowDml",), True),
    Mutation("U04", "configmap", SUPERSET_FILE, _superset("TIMEOUT = 30", "TIMEOUT = 3600")),
    Mutation("X01", "stack", ("supersetUrl",), "http://bi.example.com"),
    Mutation("X01", "component", ("flight",), "grpc://dremio:32010"),
    Mutation("X02", "user", ("secret",), "a very long password"),
    Mutation("X02", "bi", ("sqlalchemyUri",), "dremio+flight://u:hunter22@h"),
    Mutation("X03", "certificate", ("spec", "duration"), "8760h"),
    Mutation("X03", "certificate", ("spec", "renewBefore"), "24h"),
    Mutation("X03", "certificate", ("spec", "dnsNames"), []),
    Mutation("X03", "owncertificate", ("durationDays",), 365),
    Mutation("X03", "owncertificate", ("renewBeforeDays",), 2),
    Mutation("X03", "owncertificate", ("hosts",), []),
    Mutation("X03", "issuedcertificate", ("durationDays",), 365),
    Mutation("X05", "monitors", ("metadata", "name"), "other"),
    Mutation("X05", "alerts", ("spec", "groups", 0, "rules", 0, "annotations"), {}),
    Mutation("X06", "view", ("sql",), "SELECT * FROM gold.orders"),
    Mutation(
        "X07",
        "deployment",
        ("spec", "template", "metadata", "annotations", "dataflow/audit-retention-days"),
        "30",
    ),
    Mutation("X07", "container", ("labels",), []),
    Mutation("F02", "grant", ("grants", 0, "name"), "intern"),
    Mutation("F02", "birole", ("permissions",), ["all_database_access on all_database_access"]),
    Mutation("F02", "birole", ("name",), "intern"),
    Mutation("F03", "destination", ("configuration", "s3_bucket_region"), "ap-south-1"),
    Mutation("F04", "lifecycle", ("rules", 1, "expiration"), "9999d"),
    Mutation("F05", "dashboard", ("roles",), ["Public"]),
]


def built(changes: dict[str, dict[str, Any]] | None = None, *, kept: bool = True) -> Stack:
    """The golden stack, with other properties for some of its resources."""
    return Stack(
        resources=tuple(
            Resource(
                type=token,
                name=key,
                props=Node((changes or {}).get(key, props)),
                urn=f"urn:pulumi:prod::dataflow::{token}::{key}",
                kept=kept,
            )
            for key, (token, props) in GOLDEN.items()
        ),
        environment=Environment.PROD,
        flow=FLOW,
    )


def changed(resource: str, path: tuple[str | int, ...], value: Any) -> dict[str, dict[str, Any]]:
    """The properties of a golden resource with another value at a path."""
    props = copy.deepcopy(GOLDEN[resource][1])
    place: Any = props
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return {resource: props}
