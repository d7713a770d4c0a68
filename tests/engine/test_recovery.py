"""The restore drill: back up the deployed stack, take it down, bring it back, compare."""

import shutil
import socket

import pytest
from minio import Minio

from dynamic_providers.endpoints import HOST, PORTS, port
from flow.derive import BUCKET
from operations import clients, lake
from tests.support.deployed import ORDERS, flight_rows
from tests.support.ports import is_free
from tests.support.secret_scan import Places, secrets_of

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]

FEW = 60  # rows with the newest cursor are read again by an incremental sync
TOTALS = """
SELECT COUNT(*) AS orders, SUM(amount) AS revenue,
    (SELECT COUNT(*) FROM gold.customer_metrics) AS customers,
    (SELECT SUM(daily_revenue) FROM gold.fct_daily_revenue) AS daily
FROM gold.fct_orders
"""


def incremental_files(store: Minio) -> dict[str, str]:
    """Name -> checksum. The API's stream is left out: each sync overwrites it."""
    names = [o.object_name for o in store.list_objects(BUCKET, "bronze/postgres/", recursive=True)]
    return {name: lake.sha256(store, name) for name in names}


@pytest.fixture(scope="module")
def backup(deployed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recovery") / "backup"
    deployed.dataflow("backup", "--output", folder)
    return folder


def test_a_backup_shows_no_secret(deployed, backup):
    secrets = secrets_of(deployed.stack.answer("stack", "export", "--show-secrets"))
    passphrase = deployed.stack.paths.passphrase_file.read_text()
    places = Places(secrets | {"seed": deployed.seed, "passphrase": passphrase})
    places.files(backup.iterdir())
    assert places.looked_at > 4
    assert not places.leaks
    assert not [path for path in backup.glob("*.sealed") if path.stat().st_mode & 0o077]


def test_a_running_stack_is_not_overwritten(deployed, backup):
    shown = deployed.dataflow("restore", backup, status=1)
    assert "is deployed: a restore would overwrite it" in shown


def test_a_lost_state_comes_back_from_the_backup(deployed, backup):
    folder = deployed.stack.paths.state / ".pulumi" / "stacks" / "dataflow"
    for path in folder.glob(f"{deployed.stack.name}.json*"):
        path.unlink()
    assert not deployed.stack.exists
    deployed.dataflow("pulumi", "stack", "init", "--secrets-provider", "passphrase")
    deployed.dataflow("pulumi", "stack", "import", "--file", backup / "state.json")
    deployed.pulumi("preview", "--expect-no-changes")


def test_what_is_destroyed_comes_back(deployed, backup):
    store = clients.store(deployed.stack)
    before, files = flight_rows(deployed, TOTALS), incremental_files(store)
    deployed.pulumi("destroy", "--yes", "--skip-preview")
    assert all(is_free(port(service, deployed.offset)) for service in PORTS)

    damaged = shutil.copytree(backup, backup.with_name("damaged"))
    content = bytearray((damaged / "lake.sealed").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "lake.sealed").write_bytes(content)
    assert "lake.sealed: is damaged" in deployed.dataflow("restore", damaged, status=1)
    assert not deployed.stack.directory.exists()  # refused before anything was made

    with socket.create_server((HOST, port("superset", deployed.offset))):
        interrupted = deployed.dataflow("restore", backup, status=1)
    assert "checksums are equal" in interrupted
    assert "not everything could be made: mend what the messages say" in interrupted
    shown = deployed.dataflow("restore", backup)
    print(shown[shown.index("RPO") :])
    assert "checksums are equal" not in shown  # what was loaded is not loaded again
    assert flight_rows(deployed, TOTALS) == before
    assert incremental_files(store).items() >= files.items()
    deployed.pulumi("preview", "--expect-no-changes")


def test_nothing_was_synced_twice(deployed, backup):
    with clients.airbyte(deployed.stack) as airbyte:
        [connection] = [c for c in airbyte.every("/connections", {}) if c["name"] == "postgres"]
        jobs = airbyte.every("/jobs", {"connectionId": connection["connectionId"]})
        by_age = sorted(jobs, key=lambda job: int(job["jobId"]))
    # The first one is in the restored history, the newest one was the restored stack's.
    assert by_age[0]["rowsSynced"] > ORDERS
    assert by_age[-1]["rowsSynced"] < FEW
