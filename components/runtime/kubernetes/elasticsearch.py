"""Elasticsearch, run by Elastic Cloud on Kubernetes.

https://www.elastic.co/docs/deploy-manage/deploy/cloud-on-k8s
"""

from collections.abc import Sequence
from typing import Any

import pulumi

from components.runtime.kubernetes.certificates import secret_of
from components.runtime.kubernetes.cluster import (
    Cluster,
    CustomObject,
    archive_name,
    custom_object,
    secret,
)
from components.runtime.kubernetes.pods import (
    claim,
    container_security,
    pod_security,
    resources,
)
from components.runtime.service import Archive, Bucket, Service
from services.elasticsearch.config import S3_CLIENT

ELASTICSEARCH = ("elasticsearch.k8s.elastic.co/v1", "Elasticsearch")


def declare(
    cluster: Cluster,
    service: Service,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> None:
    # The operator takes the first password of `elastic` from here.
    password = {"elastic": service.secret_files["superuser-password"]}
    secrets = [
        secret(cluster, component, f"{service.name}-es-elastic-user", password, of=service.name)
    ]
    if service.archive:
        keys = _keystore(service.archive)
        secrets.append(secret(cluster, component, archive_name(service), keys, of=service.name))
    custom_object(
        cluster, component, service.name, _elasticsearch(cluster, service), [*needs, *secrets]
    )


def _elasticsearch(cluster: Cluster, service: Service) -> CustomObject:
    """Nodes with every role, each on a volume of its own. Among themselves they speak TLS by
    the operator's own authority. Snapshots go to the archive, when a policy of the server says."""
    images = cluster.containers.images
    spec: dict[str, Any] = {
        "version": images.of("elasticsearch").version,
        "image": images.reference("elasticsearch"),
        "http": {"tls": {"certificate": {"secretName": secret_of(service.name)}}},
        "podDisruptionBudget": {
            "spec": {
                "minAvailable": service.size.replicas - 1,
                "selector": {"matchLabels": cluster.selector(service.name)},
            }
        },
        "volumeClaimDeletePolicy": "DeleteOnScaledownOnly",
        "nodeSets": [_nodes(cluster, service)],
    }
    if service.archive:
        spec["secureSettings"] = [{"secretName": archive_name(service)}]
    return CustomObject(
        kind=ELASTICSEARCH,
        name=service.name,
        spec=spec,
        wait_for="ReconciliationComplete",
        holds_data=True,
    )


def _nodes(cluster: Cluster, service: Service) -> dict[str, Any]:
    user = cluster.containers.images.of("elasticsearch").user
    return {
        "name": "all",
        "count": service.size.replicas,
        "config": {
            # Memory maps need a setting of the node's kernel, and pods may not change that.
            "node.store.allow_mmap": False,
            **(_s3_client(service.archive.bucket) if service.archive else {}),
        },
        "podTemplate": {
            "metadata": {"labels": cluster.labels(service.name)},
            "spec": {
                "automountServiceAccountToken": False,
                "serviceAccountName": service.name,
                "securityContext": pod_security(user),
                "containers": [_container(service)],
            },
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "elasticsearch-data"},
                "spec": claim(service.size.disk_gib, cluster.settings.storage_class),
            }
        ],
    }


def _container(service: Service) -> dict[str, Any]:
    heap = service.size.memory_mib // 2  # the vendor's advice; the rest is the file cache
    return {
        "name": "elasticsearch",
        "env": [{"name": "ES_JAVA_OPTS", "value": f"-Xms{heap}m -Xmx{heap}m"}],
        "resources": resources(service.size),
        "securityContext": container_security(),
    }


def _s3_client(bucket: Bucket) -> dict[str, Any]:
    """How nodes reach the store; their account of it is in their keystore."""
    return {
        f"s3.client.{S3_CLIENT}.endpoint": bucket.endpoint.url,
        f"s3.client.{S3_CLIENT}.region": bucket.region,
        f"s3.client.{S3_CLIENT}.path_style_access": not bucket.of_aws,
    }


def _keystore(archive: Archive) -> dict[str, pulumi.Input[str]]:
    """What Elasticsearch's nodes are told in secret."""
    return {
        f"s3.client.{S3_CLIENT}.access_key": archive.bucket.access_key,
        f"s3.client.{S3_CLIENT}.secret_key": archive.bucket.secret_key,
    }
