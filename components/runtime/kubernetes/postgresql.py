"""PostgreSQL, run by CloudNativePG.

https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.runtime.kubernetes.certificates import CA_KEY, RELOADED, secret_of
from components.runtime.kubernetes.cluster import (
    Cluster,
    CustomObject,
    archive_name,
    custom_object,
    secret,
)
from components.runtime.kubernetes.pods import resources
from components.runtime.service import Archive, Recovery, Service

ADMINISTRATOR_CONNECTIONS = 20
ADMINISTRATOR = "dataflow_admin"  # may create roles and databases, and is no superuser
BARMAN = "barman-cloud.cloudnative-pg.io"  # the plugin
FIRST_DATABASE = {"database": "dataflow", "owner": "dataflow"}
FORMER = "former"  # the cluster that a recovery is of
BACKUP_SCHEDULE = "0 0 0 * * *"  # an hour before the nightly batch of the specification
BACKUP_DAYS = "30d"
WAL_SLOT_KEEP = "1GB"  # a slot that nobody reads must not fill the disk

# API versions, in one place: they change with the operator.
CLUSTER = ("postgresql.cnpg.io/v1", "Cluster")
SCHEDULED_BACKUP = ("postgresql.cnpg.io/v1", "ScheduledBackup")
OBJECT_STORE = ("barmancloud.cnpg.io/v1", "ObjectStore")

PARAMETERS = {
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
}
HOST_BASED_AUTHENTICATION = ["hostssl all all all scram-sha-256", "hostnossl all all all reject"]


def declare(
    cluster: Cluster,
    service: Service,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> None:
    before = [_administrator(cluster, service, component)]
    if service.archive:
        before += _archive(cluster, service, service.archive, component, needs)
    made = custom_object(
        cluster, component, service.name, _cluster(cluster, service), [*needs, *before]
    )
    if service.archive:
        custom_object(cluster, component, service.name, _daily_backup(service), [made])


def _administrator(
    cluster: Cluster, service: Service, component: pulumi.Resource
) -> pulumi.Resource:
    return secret(
        cluster,
        component,
        _administrator_secret(service),
        {"username": ADMINISTRATOR, "password": service.secret_files["superuser-password"]},
        of=service.name,
        kind="kubernetes.io/basic-auth",
        more_labels=RELOADED,
    )


def _archive(
    cluster: Cluster,
    service: Service,
    place: Archive,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """Before the cluster, whose pods ask for it."""
    keys = {
        "user": place.bucket.access_key,
        "key": place.bucket.secret_key,
        "region": place.bucket.region,
    }
    made = secret(cluster, component, archive_name(service), keys, of=service.name)
    store = _archive_store(service, place)
    return [made, custom_object(cluster, component, service.name, store, [*needs, made])]


def _cluster(cluster: Cluster, service: Service) -> CustomObject:
    """Primary and replicas, each on a volume of its own; TLS and failover are the operator's."""
    spec: dict[str, Any] = {
        "instances": service.size.replicas,
        "imageName": cluster.containers.images.reference("cloudnative-pg"),
        "enableSuperuserAccess": False,
        "primaryUpdateStrategy": "unsupervised",
        "inheritedMetadata": {"labels": cluster.selector(service.name)},
        "postgresql": {"parameters": PARAMETERS, "pg_hba": HOST_BASED_AUTHENTICATION},
        "bootstrap": _first_start(),
        "managed": {"roles": [_administrator_role(service)]},
        "storage": {
            "size": f"{service.size.disk_gib}Gi",
            "storageClass": cluster.settings.storage_class or None,
        },
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
            spec |= _recovered(service, recovery)
    return CustomObject(
        kind=CLUSTER, name=service.name, spec=spec, wait_for="Ready", holds_data=True
    )


def _first_start() -> dict[str, Any]:
    return {
        "initdb": {
            **FIRST_DATABASE,
            "dataChecksums": True,
            "encoding": "UTF8",
            "localeProvider": "builtin",
            "builtinLocale": "C.UTF-8",
        }
    }


def _recovered(service: Service, recovery: Recovery) -> dict[str, Any]:
    """A first start with what an archive holds."""
    target = {"targetTime": recovery.time}
    return {
        "bootstrap": {"recovery": {**FIRST_DATABASE, "source": FORMER, "recoveryTarget": target}},
        "externalClusters": [{"name": FORMER, "plugin": _plugin(service, recovery.archive)}],
    }


def _administrator_role(service: Service) -> dict[str, Any]:
    return {
        "name": ADMINISTRATOR,
        "ensure": "present",
        "login": True,
        "superuser": False,
        "createdb": True,
        "createrole": True,
        "connectionLimit": ADMINISTRATOR_CONNECTIONS,
        "passwordSecret": {"name": _administrator_secret(service)},
    }


def _plugin(service: Service, archive: str) -> dict[str, Any]:
    """archive: what is read or written, "" for the one that is called like the cluster."""
    server = {"serverName": archive} if archive else {}
    return {
        "name": BARMAN,
        "parameters": {"barmanObjectName": archive_name(service), **server},
    }


def _archive_store(service: Service, place: Archive) -> CustomObject:
    """Where write-ahead log and base backups go."""
    name = archive_name(service)
    own = {"name": secret_of(service.name), "key": CA_KEY}
    store: Mapping[str, Any] = {
        "configuration": {
            "destinationPath": f"s3://{place.bucket.name}/{place.prefix}/{service.name}",
            "endpointURL": place.bucket.endpoint.url,
            **({"endpointCA": own} if place.bucket.endpoint.ca_file else {}),
            "s3Credentials": {
                "accessKeyId": {"name": name, "key": "user"},
                "secretAccessKey": {"name": name, "key": "key"},
                "region": {"name": name, "key": "region"},
            },
            "wal": {"compression": "gzip"},
            "data": {"compression": "gzip"},
        },
        "retentionPolicy": BACKUP_DAYS,
    }
    return CustomObject(kind=OBJECT_STORE, name=name, spec=store, part="archive-store")


def _daily_backup(service: Service) -> CustomObject:
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


def _administrator_secret(service: Service) -> str:
    return f"{service.name}-administrator"
