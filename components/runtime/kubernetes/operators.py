"""Services that an operator runs: PostgreSQL, Elasticsearch and Prometheus as custom resources.

https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/
https://www.elastic.co/docs/deploy-manage/deploy/cloud-on-k8s
https://prometheus-operator.dev/docs/api-reference/api/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import yaml

from components.runtime.containers import ROOT
from components.runtime.kubernetes.certificates import (
    CA_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY,
    TRUSTED,
    secret_of,
)
from components.runtime.kubernetes.pods import (
    container_security,
    key_of,
    labels,
    pod_security,
    resources,
    selector,
)
from components.runtime.service import Archive, Bucket, Service
from services.elasticsearch.config import S3_CLIENT
from services.prometheus.rules import FOLDER

ADMINISTRATOR_CONNECTIONS = 20
ADMINISTRATOR = "dataflow_admin"  # may create roles and databases, and is no superuser
BARMAN = "barman-cloud.cloudnative-pg.io"  # the plugin
FIRST_DATABASE = {"database": "dataflow", "owner": "dataflow"}
FORMER = "former"  # the cluster that a recovery is of
BACKUP_SCHEDULE = "0 0 0 * * *"  # an hour before the nightly batch of the specification
BACKUP_DAYS = "30d"
WAL_SLOT_KEEP = "1GB"  # a slot that nobody reads must not fill the disk
RELOADED = {"cnpg.io/reload": "true"}  # of Secrets whose change the operator takes to the pods

# API versions, in one place: they change with the operator.
CLUSTER = ("postgresql.cnpg.io/v1", "Cluster")
SCHEDULED_BACKUP = ("postgresql.cnpg.io/v1", "ScheduledBackup")
OBJECT_STORE = ("barmancloud.cnpg.io/v1", "ObjectStore")
ELASTICSEARCH = ("elasticsearch.k8s.elastic.co/v1", "Elasticsearch")
PROMETHEUS = ("monitoring.coreos.com/v1", "Prometheus")
SERVICE_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
PROMETHEUS_RULE = ("monitoring.coreos.com/v1", "PrometheusRule")
# Services that the operator makes: name -> the label that it gives them.
OPERATED = {"prometheus-operated": {"operated-prometheus": "true"}}

Kind = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class CustomObject:
    """part: suffix of its resource's name. wait_for: the condition that says it is ready."""

    kind: Kind
    name: str
    spec: Mapping[str, Any]
    part: str = ""
    wait_for: str = ""


def postgresql(service: Service, *, stack: str, image: str, storage_class: str) -> CustomObject:
    """Primary and replicas, each on a volume of its own; TLS and failover are the operator's."""
    spec: dict[str, Any] = {
        "instances": service.size.replicas,
        "imageName": image,
        "enableSuperuserAccess": False,
        "primaryUpdateStrategy": "unsupervised",
        "inheritedMetadata": {"labels": selector(stack, service.name)},
        "postgresql": {
            "parameters": {
                "max_connections": "250",  # what the roles of all services may have at once
                "max_slot_wal_keep_size": WAL_SLOT_KEEP,
                "password_encryption": "scram-sha-256",
                "ssl_min_protocol_version": "TLSv1.3",
                "log_connections": "on",
                "log_disconnections": "on",
                # Setting it makes the operator load the extension.
                "pgaudit.log": "ddl, role, write",
                "pgaudit.log_catalog": "off",
                # Statements may carry passwords: none is logged, not even in errors.
                "log_statement": "none",
                "log_min_error_statement": "panic",
            },
            "pg_hba": ["hostssl all all all scram-sha-256", "hostnossl all all all reject"],
        },
        "bootstrap": {
            "initdb": {
                **FIRST_DATABASE,
                "dataChecksums": True,
                "encoding": "UTF8",
                "localeProvider": "builtin",
                "builtinLocale": "C.UTF-8",
            }
        },
        "managed": {
            "roles": [
                {
                    "name": ADMINISTRATOR,
                    "ensure": "present",
                    "login": True,
                    "superuser": False,
                    "createdb": True,
                    "createrole": True,
                    "connectionLimit": ADMINISTRATOR_CONNECTIONS,
                    "passwordSecret": {"name": administrator_secret(service)},
                }
            ]
        },
        "storage": {"size": f"{service.size.disk_gib}Gi", "storageClass": storage_class or None},
        "resources": resources(service.size),
        "seccompProfile": {"type": "RuntimeDefault"},
        "affinity": {"enablePodAntiAffinity": True, "topologyKey": "kubernetes.io/hostname"},
        "enablePDB": True,
        "monitoring": {"tls": {"enabled": True}},
        # Replicas log in to the primary by the operator's own authority, as it makes it.
        "certificates": {
            "serverTLSSecret": secret_of(service.name),
            "serverCASecret": secret_of(service.name),
        },
    }
    if service.archive:
        own = "" if service.archive.name == service.name else service.archive.name
        spec["plugins"] = [{**_plugin(service, own), "isWALArchiver": True}]
        if recovery := service.archive.recovery:
            target = {"targetTime": recovery.time}
            spec["bootstrap"] = {
                "recovery": {**FIRST_DATABASE, "source": FORMER, "recoveryTarget": target}
            }
            spec["externalClusters"] = [
                {"name": FORMER, "plugin": _plugin(service, recovery.archive)}
            ]
    return CustomObject(kind=CLUSTER, name=service.name, spec=spec, wait_for="Ready")


def _plugin(service: Service, archive: str) -> dict[str, Any]:
    """archive: what is read or written, "" for the one that is called like the cluster."""
    server = {"serverName": archive} if archive else {}
    return {
        "name": BARMAN,
        "parameters": {"barmanObjectName": archive_name(service), **server},
    }


def archive_store(service: Service, place: Archive) -> CustomObject:
    """Where write-ahead log and base backups go."""
    secret = archive_name(service)
    own = {"name": secret_of(service.name), "key": CA_KEY}
    store = {
        "configuration": {
            "destinationPath": f"s3://{place.bucket.name}/{place.prefix}/{service.name}",
            "endpointURL": place.bucket.endpoint.url,
            **({"endpointCA": own} if place.bucket.endpoint.ca_file else {}),
            "s3Credentials": {
                "accessKeyId": {"name": secret, "key": "user"},
                "secretAccessKey": {"name": secret, "key": "key"},
                "region": {"name": secret, "key": "region"},
            },
            "wal": {"compression": "gzip"},
            "data": {"compression": "gzip"},
        },
        "retentionPolicy": BACKUP_DAYS,
    }
    return CustomObject(kind=OBJECT_STORE, name=secret, spec=store, part="archive-store")


def daily_backup(service: Service) -> CustomObject:
    backup = {
        "schedule": BACKUP_SCHEDULE,
        "cluster": {"name": service.name},
        "method": "plugin",
        "pluginConfiguration": {"name": BARMAN},
        "backupOwnerReference": "self",
    }
    return CustomObject(
        kind=SCHEDULED_BACKUP, name=f"{service.name}-daily", spec=backup, part="backup"
    )


def administrator_secret(service: Service) -> str:
    return f"{service.name}-administrator"


def archive_name(service: Service) -> str:
    return f"{service.name}-archive"


def elasticsearch(
    service: Service, *, stack: str, image: str, version: str, user: int, storage_class: str
) -> CustomObject:
    """Nodes with every role, each on a volume of its own. Among themselves they speak TLS by
    the operator's own authority. Snapshots go to the archive, when a policy of the server says."""
    heap = service.size.memory_mib // 2  # the vendor's advice; the rest is the file cache
    container = {
        "name": "elasticsearch",
        "env": [{"name": "ES_JAVA_OPTS", "value": f"-Xms{heap}m -Xmx{heap}m"}],
        "resources": resources(service.size),
        "securityContext": {**container_security(), "readOnlyRootFilesystem": True},
    }
    # Memory maps need a setting of the node's kernel, and pods may not change that.
    config: dict[str, Any] = {"node.store.allow_mmap": False}
    spec: dict[str, Any] = {
        "version": version,
        "image": image,
        "http": {"tls": {"certificate": {"secretName": secret_of(service.name)}}},
        "podDisruptionBudget": {
            "spec": {
                "minAvailable": service.size.replicas - 1,
                "selector": {"matchLabels": selector(stack, service.name)},
            }
        },
        "volumeClaimDeletePolicy": "DeleteOnScaledownOnly",
        "nodeSets": [
            {
                "name": "all",
                "count": service.size.replicas,
                "config": config,
                "podTemplate": {
                    "metadata": {"labels": labels(stack, service.name)},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "serviceAccountName": service.name,
                        "securityContext": pod_security(user),
                        "containers": [container],
                    },
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "elasticsearch-data"},
                        "spec": _claim(service, storage_class),
                    }
                ],
            }
        ],
    }
    if service.archive:
        config |= _s3_client(service.archive.bucket)
        spec["secureSettings"] = [{"secretName": archive_name(service)}]
    return CustomObject(
        kind=ELASTICSEARCH, name=service.name, spec=spec, wait_for="ReconciliationComplete"
    )


def _s3_client(bucket: Bucket) -> dict[str, Any]:
    """How nodes reach the store; their account of it is in their keystore."""
    return {
        f"s3.client.{S3_CLIENT}.endpoint": bucket.endpoint.url,
        f"s3.client.{S3_CLIENT}.region": bucket.region,
        f"s3.client.{S3_CLIENT}.path_style_access": not bucket.of_aws,
    }


def keystore(archive: Archive) -> dict[str, pulumi.Input[str]]:
    """What Elasticsearch's nodes are told in secret."""
    return {
        f"s3.client.{S3_CLIENT}.access_key": archive.bucket.access_key,
        f"s3.client.{S3_CLIENT}.secret_key": archive.bucket.secret_key,
    }


def prometheus(
    service: Service, *, stack: str, image: str, version: str, user: int, storage_class: str
) -> CustomObject:
    spec = {
        "image": image,
        "version": version,
        "replicas": service.size.replicas,
        "retention": _argument(service, "--storage.tsdb.retention.time"),
        "serviceAccountName": service.name,
        "automountServiceAccountToken": True,  # it finds its targets through the API
        "podMetadata": {"labels": labels(stack, service.name)},
        "securityContext": pod_security(user),
        "serviceMonitorSelector": {"matchLabels": {"dataflow/stack": stack}},
        "ruleSelector": {"matchLabels": {"dataflow/stack": stack}},
        "resources": resources(service.size),
        "storage": {"volumeClaimTemplate": {"spec": _claim(service, storage_class)}},
        "podMonitorSelector": {"matchLabels": {"dataflow/stack": stack}},
        "web": {
            "tlsConfig": {
                "cert": {
                    "secret": {"name": secret_of(service.name), "key": CERTIFICATE_KEY},
                },
                "keySecret": {"name": secret_of(service.name), "key": PRIVATE_KEY},
                "minVersion": "TLS12",
            }
        },
    }
    return CustomObject(kind=PROMETHEUS, name=service.name, spec=spec, wait_for="Available")


def monitors(service: Service, *, secret: str) -> list[CustomObject]:
    """One ServiceMonitor per scrape job of the description."""
    settings = yaml.safe_load(str(service.files["prometheus.yml"]))
    return [_monitor(job, secret) for job in settings["scrape_configs"]]


def _monitor(job: Mapping[str, Any], secret: str) -> CustomObject:
    target = job["static_configs"][0]["targets"][0]
    host, _, port = target.rpartition(":")
    name, namespace = host.split(".")[:2]
    endpoint: dict[str, Any] = {
        "targetPort": int(port),
        "path": job["metrics_path"],
        "scheme": job.get("scheme", "http"),
        # Else series would carry the name of the service that was asked: exporters tell of others.
        "relabelings": [{"targetLabel": "job", "replacement": job["job_name"]}],
    }
    if interval := job.get("scrape_interval"):
        endpoint |= {"interval": interval, "scrapeTimeout": job["scrape_timeout"]}
    if job.get("tls_config"):
        # Pods are found by their address, which no certificate names.
        endpoint["tlsConfig"] = {
            "ca": {"configMap": {"name": TRUSTED, "key": CA_KEY}},
            "serverName": host,
        }
    if token := job.get("authorization"):
        file = token["credentials_file"].removeprefix(str(ROOT / "prometheus" / "config") + "/")
        endpoint["authorization"] = {"credentials": {"name": secret, "key": key_of(file)}}
    spec = {
        "namespaceSelector": {"matchNames": [namespace]},
        "selector": {"matchLabels": OPERATED.get(name, {"dataflow/service": name})},
        "endpoints": [endpoint],
    }
    return CustomObject(
        kind=SERVICE_MONITOR, name=job["job_name"], spec=spec, part=f"monitor-{job['job_name']}"
    )


def rules(service: Service) -> list[CustomObject]:
    """One PrometheusRule per file of rules in the description."""
    return [
        CustomObject(
            kind=PROMETHEUS_RULE,
            name=path.rpartition("/")[2].split(".")[0],
            spec=yaml.safe_load(str(text)),
            part=f"rules-{key_of(path)}",
        )
        for path, text in service.files.items()
        if path.startswith(f"{FOLDER}/")
    ]


def _argument(service: Service, name: str) -> str:
    (value,) = (part.partition("=")[2] for part in service.command if part.startswith(f"{name}="))
    return value


def _claim(service: Service, storage_class: str) -> dict[str, Any]:
    return claim(service.size.disk_gib, storage_class)


def claim(disk_gib: int, storage_class: str) -> dict[str, Any]:
    """What a volume must be; the cluster's own class without a storage class."""
    wanted: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{disk_gib}Gi"}},
    }
    return wanted | ({"storageClassName": storage_class} if storage_class else {})
