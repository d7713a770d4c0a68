"""Prometheus, its targets and its rules, run by the Prometheus Operator.

https://prometheus-operator.dev/docs/api-reference/api/
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import yaml

from components.runtime.containers import ROOT
from components.runtime.kubernetes import rbac
from components.runtime.kubernetes.certificates import (
    CA_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY,
    TRUSTED,
    secret_of,
)
from components.runtime.kubernetes.cluster import Cluster, CustomObject, custom_object, secret
from components.runtime.kubernetes.configuration import by_key, key_of
from components.runtime.kubernetes.pods import claim, pod_security, resources
from components.runtime.service import Service
from services.prometheus.rules import FOLDER

# API versions, in one place: they change with the operator.
PROMETHEUS = ("monitoring.coreos.com/v1", "Prometheus")
SERVICE_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
PROMETHEUS_RULE = ("monitoring.coreos.com/v1", "PrometheusRule")
# Services that the operator makes: name -> the label that it gives them.
OPERATED = {"prometheus-operated": {"operated-prometheus": "true"}}


def declare(
    cluster: Cluster,
    service: Service,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> None:
    name = f"{service.name}-tokens"
    tokens = secret(cluster, component, name, by_key(service.secret_files), of=service.name)
    needs = [*needs, tokens, *rbac.discovering(cluster, service.name, component)]
    for one in (*_monitors(service, name), *_rules(service), _prometheus(cluster, service)):
        custom_object(cluster, component, service.name, one, needs)


def _prometheus(cluster: Cluster, service: Service) -> CustomObject:
    stack, image = cluster.settings.stack, cluster.containers.images.of("prometheus")
    volume = claim(service.size.disk_gib, cluster.settings.storage_class)
    of_stack = {"matchLabels": {"dataflow/stack": stack}}
    spec = {
        "image": cluster.containers.images.reference("prometheus"),
        "version": image.version,
        "replicas": service.size.replicas,
        "retention": _argument(service, "--storage.tsdb.retention.time"),
        "serviceAccountName": service.name,
        "automountServiceAccountToken": True,  # it finds its targets through the API
        "podMetadata": {"labels": cluster.labels(service.name)},
        "securityContext": pod_security(image.user),
        "serviceMonitorSelector": of_stack,
        "ruleSelector": of_stack,
        "resources": resources(service.size),
        "storage": {"volumeClaimTemplate": {"spec": volume}},
        "podMonitorSelector": of_stack,
        "web": {"tlsConfig": _tls(service)},
    }
    return CustomObject(kind=PROMETHEUS, name=service.name, spec=spec, wait_for="Available")


def _tls(service: Service) -> dict[str, Any]:
    name = secret_of(service.name)
    return {
        "cert": {"secret": {"name": name, "key": CERTIFICATE_KEY}},
        "keySecret": {"name": name, "key": PRIVATE_KEY},
        "minVersion": "TLS12",
    }


def _monitors(service: Service, tokens: str) -> list[CustomObject]:
    """One ServiceMonitor per scrape job of the description. tokens: name of the Secret."""
    settings = yaml.safe_load(str(service.files["prometheus.yml"]))
    return [_monitor(job, tokens) for job in settings["scrape_configs"]]


def _monitor(job: Mapping[str, Any], tokens: str) -> CustomObject:
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
        endpoint["authorization"] = {"credentials": {"name": tokens, "key": key_of(file)}}
    spec = {
        "namespaceSelector": {"matchNames": [namespace]},
        "selector": {"matchLabels": OPERATED.get(name, {"dataflow/service": name})},
        "endpoints": [endpoint],
    }
    return CustomObject(
        kind=SERVICE_MONITOR, name=job["job_name"], spec=spec, part=f"monitor-{job['job_name']}"
    )


def _rules(service: Service) -> list[CustomObject]:
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
