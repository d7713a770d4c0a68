"""The stack `dev` on a real engine, as users deploy it: up with its pipeline, TLS on every port,
rows through Flight, a new image of one service, a renewed certificate, the end.

Images are made on the spot (tests/docker_images.py): real MinIO, PostgreSQL, Elasticsearch,
Superset, Prometheus and dbt, the embedded engines, and Redis where dev has Valkey.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dynamic_providers.endpoints import PORTS
from operations import clients
from policies.judged import CONFIG_FOLDER, configuration
from services import images
from tests.docker_fixtures import Engine
from tests.docker_images import make_images, next_version
from tests.support import tls
from tests.support.deployed import Deployed, flight_rows, interruptible, small_stack
from tls.authority import SECRET_NAME, authority, hosts, load
from tools.paths import Paths
from tools.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(3600)]
ORDERS = 500
NEW_ORDER = """
    INSERT INTO orders (order_id, product_id, order_date, amount, status, updated_at)
    SELECT max(order_id) + 1, 1, current_date, 12.5, 'pending', now() AT TIME ZONE 'UTC'
    FROM orders
"""
# Ports that are not published: key of PORTS or a name -> service, port in its container.
INNER = {
    "elasticsearch-transport": ("elasticsearch", PORTS["elasticsearch-transport"]),
    "redis": ("superset-cache", 6379),
}
SERVICES = {
    *("minio", "postgres", "elasticsearch", "airbyte", "dremio", "pipeline", "prometheus"),
    *("superset", "superset-cache", "superset-worker", "superset-beat"),
}


@dataclass(frozen=True, kw_only=True)
class Dev:
    """names: program -> its image."""

    stack: Stack
    engine: Engine
    names: Mapping[str, str]

    def dataflow(self, *arguments: str) -> str:
        """What the command prints."""
        command = ["bin/dataflow", *arguments, "--stack", self.stack.name]
        done = interruptible(command, cwd=self.stack.paths.root)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)}:\n{printed}"
        return printed

    def containers(self) -> dict[str, str]:
        """dict name of a service -> id of its container."""
        running = self.engine.client.send("GET", "containers", "json")
        prefix = f"/dataflow-{self.stack.name}-"
        return {one["Names"][0].removeprefix(prefix): one["Id"] for one in running}

    def everything(self) -> dict[str, list[str]]:
        """Names of all that is on the engine, but for images: those stay for other stacks."""
        client = self.engine.client
        return {
            "containers": [
                one["Names"][0] for one in client.send("GET", "containers", "json", all="true")
            ],
            "networks": sorted(one["Name"] for one in client.send("GET", "networks")),
            "volumes": [one["Name"] for one in client.send("GET", "volumes")["Volumes"] or []],
        }


@pytest.fixture
def dev(docker_engine: Engine) -> Iterator[Dev]:
    if not (Paths.find().bin / "pulumi").exists():
        pytest.skip("the engine is not installed: run bin/dataflow bootstrap")
    names = make_images(docker_engine, images.load())
    settings = {
        "dataflow:runtime": "docker",
        "dataflow:shopOrders": ORDERS,
        "docker:host": docker_engine.host,
        **{f"images:{program}": name for program, name in names.items()},
    }
    name = f"dev-{os.getpid()}"
    policies = CONFIG_FOLDER / f"{name}.json"
    policies.write_text(json.dumps(_policies()).replace('"dataflow-dev"', f'"dataflow-{name}"'))
    try:
        with small_stack(name, settings) as stack:
            yield Dev(stack=stack, engine=docker_engine, names=names)
    finally:
        policies.unlink()


def _policies() -> dict[str, Any]:
    """Those of dev, but for the one that its data outlives it: nothing of a test may stay."""
    excepted = {
        "resource": "*",
        "owner": "tests",
        "reason": "the stack of a test",
        "expires": str(date.today() + timedelta(days=2)),
    }
    return {**configuration("dev"), "X04": {"exceptions": [excepted]}}


def test_the_platform_runs_in_containers(dev: Dev, tmp_path: Path):
    before = dev.everything()
    printed = dev.dataflow("up")
    deployed = Deployed(dev.stack)
    assert set(dev.containers()) == SERVICES
    assert "customer-analytics" in printed, "it ends with where to look"
    _every_port_speaks_tls_alone(dev, deployed)
    with _shop(dev.stack) as shop:
        assert _served(deployed) == _expected(shop)

        shop.execute(NEW_ORDER)
        assert _served(deployed) != _expected(shop)
        dev.dataflow("run")
        assert _served(deployed) == _expected(shop)

    shown = dev.dataflow("status")
    states = {tuple(line.split()[:2]) for line in shown.splitlines()}
    assert states >= {(service, "healthy") for service in SERVICES}, shown
    restarts = {service: _described(dev, service)["RestartCount"] for service in SERVICES}
    assert not any(restarts.values()), restarts

    _prometheus_alone_is_updated(dev, deployed)
    _a_certificate_is_renewed(dev, deployed)

    printed += _it_comes_back_from_a_backup(dev, deployed, tmp_path / "backup", before)
    printed += deployed.output + dev.dataflow("down")
    for secret in ("postgres-superuser", "minio-root", "dremio-admin"):
        assert deployed.password(secret) not in printed
    assert dev.everything() == before


def _shop(stack: Stack) -> psycopg.Connection:
    """The sample source system."""
    return psycopg.connect(**clients.postgres(stack), dbname="shop", autocommit=True)


def _expected(shop: psycopg.Connection) -> dict[int, Decimal]:
    """dict order -> amount, as the models of silver and gold take them."""
    rows = shop.execute(
        "SELECT DISTINCT ON (order_id) order_id, amount FROM orders "
        "ORDER BY order_id, updated_at DESC"
    )
    return {order: amount for order, amount in rows if amount is not None and amount > 0}


def _served(deployed: Deployed) -> dict[int, Decimal]:
    rows = flight_rows(deployed, "SELECT order_id, amount FROM gold.fct_orders")
    return {row["order_id"]: row["amount"] for row in rows}


def _every_port_speaks_tls_alone(dev: Dev, deployed: Deployed) -> None:
    signer = authority(deployed.password(SECRET_NAME))
    for service, number in PORTS.items():
        if service in INNER:
            continue
        published, postgresql = number + deployed.offset, service == "postgres"
        tls.assert_strangers_are_not_trusted(published, postgresql=postgresql)
        tls.assert_old_versions_are_refused(published, postgresql=postgresql)
        shown = load(tls.served(published, signer, postgresql=postgresql))
        assert {"127.0.0.1", "localhost"} < set(hosts(shown))
        if not postgresql:
            tls.assert_clear_text_is_refused(published)
    password = deployed.password("postgres-superuser")
    tls.assert_postgresql_refuses_clear_text(PORTS["postgres"] + deployed.offset, password)
    for service, number in INNER.values():
        ends = _described(dev, service)["NetworkSettings"]["Networks"].values()
        tls.assert_clear_text_is_refused(number, host=next(iter(ends))["IPAddress"])


def _a_certificate_is_renewed(dev: Dev, deployed: Deployed) -> None:
    """Prometheus serves it without a restart. Nothing of what was deployed before changes."""
    signer = authority(deployed.password(SECRET_NAME))
    number = PORTS["prometheus"] + deployed.offset
    state = json.loads(deployed.stack.answer("stack", "export"))
    (recorded,) = (
        one
        for one in state["deployment"]["resources"]
        if one["urn"].endswith("::prometheus-certificate")
    )
    late = (datetime.now(UTC) - timedelta(days=60)).isoformat(timespec="seconds")
    recorded["inputs"]["renewedAt"] = recorded["outputs"]["renewedAt"] = late
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(state, file)
        file.flush()
        deployed.stack.answer("stack", "import", "--file", file.name)
    changes = deployed.changes()
    assert set(changes) == {"prometheus-certificate", "prometheus-tls-files"}
    assert changes["prometheus-certificate"] == ["renewedAt"]
    before, former = dev.containers(), tls.served(number, signer)
    deployed.up()
    assert dev.containers() == before
    renewed = tls.served(number, signer)
    assert renewed != former
    deployed.pulumi("preview", "--expect-no-changes")


def _prometheus_alone_is_updated(dev: Dev, deployed: Deployed) -> None:
    """Nothing else of what was deployed before changes."""
    newer = next_version(dev.engine, dev.names["prometheus"])
    deployed.pulumi("config", "set", "images:prometheus", newer)
    assert set(deployed.changes()) == {"runtime-image-prometheus", "prometheus-container"}
    before, described = dev.containers(), _described(dev, "prometheus")
    deployed.up()
    after, now = dev.containers(), _described(dev, "prometheus")
    assert {name for name in after if after[name] != before[name]} == {"prometheus"}
    assert now["Image"] == dev.engine.client.get("images", newer, "json")["Id"]
    assert now["Image"] != described["Image"]
    assert _mounts(now) == _mounts(described), "the same volumes"
    assert now["State"]["Health"]["Status"] == "healthy"


def _mounts(container: dict) -> dict[str, dict]:
    """dict path in the container -> what is there; the engine tells them in any order."""
    return {mount["Destination"]: mount for mount in container["Mounts"]}


def _it_comes_back_from_a_backup(
    dev: Dev, deployed: Deployed, backup: Path, before: dict[str, list[str]]
) -> str:
    """What is printed."""
    served = _served(deployed)
    printed = dev.dataflow("backup", "--output", str(backup)) + dev.dataflow("down")
    assert dev.everything() == before
    printed += dev.dataflow("restore", str(backup))
    assert "checksums are equal" in printed
    assert _served(deployed) == served
    with clients.airbyte(deployed.stack) as airbyte:
        [shop] = [c for c in airbyte.every("/connections", {}) if c["name"] == "postgres"]
        assert list(airbyte.every("/jobs", {"connectionId": shop["connectionId"]})), "its history"
    deployed.pulumi("preview", "--expect-no-changes")
    return printed


def _described(dev: Dev, service: str) -> dict:
    return dev.engine.client.get("containers", dev.containers()[service], "json")
