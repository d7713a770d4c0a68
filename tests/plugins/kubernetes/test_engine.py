"""The real CLI, the official SDK, our plugin and a real API server."""

import json
import secrets
from pathlib import Path

import pytest

from tests.plugins.engine import Stack
from tests.plugins.kubernetes_cases import coded, definition

pytestmark = [pytest.mark.engine, pytest.mark.service]
PROGRAM = Path(__file__).parent / "program"
APPS = "/apis/apps/v1/namespaces/lake"
CORE = "/api/v1/namespaces/lake"


def test_the_official_sdk_works_unchanged(tmp_path, kubernetes_cluster):
    cluster, password = kubernetes_cluster, secrets.token_hex(16)
    stack = Stack(tmp_path, PROGRAM)
    stack.run("stack", "init", "test")
    crd = definition("test.dataflow", "Lake")
    values = {
        "kubeconfig": str(cluster.kubeconfig),
        "replicas": 2,
        "image": "registry.test/web:1",
        "serviceName": "store",
        "definition": json.dumps({key: crd[key] for key in ("metadata", "spec")}),
    }
    stack.configure({f"kubernetes-test:{key}": value for key, value in values.items()})
    stack.run("config", "set", "--secret", "password", given=password)
    stack.run("preview")  # nothing of it is there yet, not even the kind of the custom resource
    printed = stack.run("up", "--yes", "--skip-preview")
    try:
        stack.run("preview", "--expect-no-changes")
        stack.run("refresh", "--yes", "--expect-no-changes")
        stack.run("preview", "--expect-no-changes")
        told = printed + stack.run("stack", "export")
        assert password not in told and coded(password) not in told
        assert cluster.send("GET", f"{CORE}/secrets/login")["data"] == {
            "password": coded(password)
        }
        outputs = json.loads(stack.run("stack", "output", "--json"))
        assert outputs["settings"].startswith("settings-")
        assert (
            outputs["address"] == cluster.send("GET", f"{CORE}/services/web")["spec"]["clusterIP"]
        )

        _change(stack, cluster)
        _drift(stack, cluster)
        _replacement(stack)
        _refusal(stack, cluster)
        _import(stack, cluster)
    finally:
        stack.run("destroy", "--yes", "--skip-preview")
    assert cluster.send("GET", "/api/v1/namespaces/lake") is None
    assert cluster.send("GET", "/apis/test.dataflow/v1") is None


def _change(stack, cluster) -> None:
    stack.run("config", "set", "replicas", "3")
    assert stack.changes() == {"Deployment web update": {"spec.replicas": "update"}}
    stack.run("config", "set", "image", "registry.test/web:2")
    image = "spec.template.spec.containers[0].image"
    assert stack.changes() == {
        "Deployment web update": {"spec.replicas": "update", image: "update"}
    }
    stack.run("up", "--yes", "--skip-preview")
    status = cluster.send("GET", f"{APPS}/deployments/web")["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 3
    pods = cluster.send("GET", f"{CORE}/pods?labelSelector=app%3Dweb")["items"]
    running = [p for p in pods if "deletionTimestamp" not in p["metadata"]]
    assert {pod["spec"]["containers"][0]["image"] for pod in running} == {"registry.test/web:2"}


def _drift(stack, cluster) -> None:
    cluster.send("PATCH", f"{APPS}/deployments/web", {"spec": {"replicas": 1}})
    cluster.send(
        "PATCH", f"{CORE}/services/web", {"metadata": {"labels": {"by": "hand"}}}
    )  # a field that nobody declared
    cluster.send("PATCH", f"{CORE}/secrets/login", {"data": {"password": coded("by hand")}})
    stack.run("refresh", "--yes")
    assert stack.changes() == {
        "Deployment web update": {"spec.replicas": "update"},
        "Secret login replace": {"stringData.password": "update-replace"},
    }
    stack.run("up", "--yes", "--skip-preview")
    assert cluster.send("GET", f"{APPS}/deployments/web")["spec"]["replicas"] == 3
    stack.run("refresh", "--yes", "--expect-no-changes")


def _replacement(stack) -> None:
    stack.run("config", "set", "serviceName", "other")
    assert stack.changes() == {"StatefulSet store replace": {"spec.serviceName": "update-replace"}}
    stack.run("config", "set", "serviceName", "store")


def _refusal(stack, cluster) -> None:
    stack.run("config", "set", "refused", "pod")
    with pytest.raises(
        AssertionError, match='violates PodSecurity "restricted:latest": privileged'
    ):
        stack.run("preview")
    stack.run("config", "set", "refused", "deployment")
    with pytest.raises(
        AssertionError, match=r"cannot become ready: ReplicaSet .* is forbidden: viol"
    ):
        stack.run("up", "--yes", "--skip-preview")
    stack.run("config", "set", "mended", "true")
    assert list(stack.changes()) == ["Deployment refused update"], "it is there, if not ready"
    stack.run("up", "--yes", "--skip-preview")
    stack.run("config", "rm", "refused")
    stack.run("up", "--yes", "--skip-preview")
    assert cluster.send("GET", f"{APPS}/deployments/refused") is None


def _import(stack, cluster) -> None:
    for name in ("by-hand", "by-cli"):
        body = {"metadata": {"name": name}, "data": {"a": "1"}}
        cluster.send("POST", f"{CORE}/configmaps", body)
    stack.run("config", "set", "importing", "true")
    assert list(stack.changes()) == ["ConfigMap adopted import"]
    stack.run("up", "--yes", "--skip-preview")
    token, options = "kubernetes:core/v1:ConfigMap", ("--generate-code=false", "--protect=false")
    provider = next(
        f"cluster={resource['urn']}"
        for resource in json.loads(stack.run("stack", "export"))["deployment"]["resources"]
        if resource["type"] == "pulumi:providers:kubernetes"
    )
    by_cli = ("import", token, "cli", "lake/by-cli", "--yes", "--provider", provider, *options)
    stack.run(*by_cli)
    assert list(stack.changes()) == ["ConfigMap cli delete"], "the program does not have it"
    with pytest.raises(AssertionError, match="does not exist"):
        stack.run(*by_cli[:2], "none", "lake/not-there", *by_cli[4:])
