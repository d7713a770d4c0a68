"""Backups of a stack on a cluster: started at once on a real Kubernetes API, whose operators are
played; and which restore point a recovery begins with, on a real object store."""

import io
import json

import pytest
import yaml

from operations import clients
from operations.archive import BackupError
from operations.cluster import back_up, base_backup, chosen, copy_bucket
from plugins.kubernetes.client import connect
from settings import RestorePoint
from tests.plugins.kubernetes_cases import definition, pod
from tests.support.engines import object_store
from tests.tools.test_running import CLUSTER
from tools.paths import Paths
from tools.stack import Stack

NAMED = {"namespace": "default", "labels": {"dataflow/service": "lake-backup"}}
COPY = {
    "metadata": {**NAMED, "name": "lake-backup"},
    "spec": {
        "jobTemplate": {
            "metadata": {"labels": NAMED["labels"]},
            "spec": {"template": {"spec": pod(restartPolicy="Never")}},
        }
    },
}
DAILY = {
    "metadata": {**NAMED, "name": "postgres-daily"},
    "spec": {
        "schedule": "0 0 0 * * *",
        "cluster": {"name": "postgres"},
        "method": "plugin",
        "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
    },
}
KEPT = ("cluster", "method", "pluginConfiguration")
JOBS = "/apis/batch/v1/namespaces/default/jobs"
BACKUPS = "/apis/postgresql.cnpg.io/v1/namespaces/default/backups"
STORE = {
    "dataflow:backupEndpoint": "https://backups.test",
    "dataflow:backupBucket": "datalake",
    "dataflow:backupRegion": "us-east-1",
    "dataflow:backupNetwork": "192.0.2.0/24",
    "backup:user": "an access key",
    "backup:password": "a secret key",
}


@pytest.fixture(scope="module")
def kinds(kubernetes_cluster):
    made = definition("postgresql.cnpg.io", "Backup")
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    kubernetes_cluster.send("POST", definitions, made)
    yield
    kubernetes_cluster.send("DELETE", f"{definitions}/{made['metadata']['name']}")


@pytest.fixture
def api(kubernetes_cluster, kinds):
    yield connect({"kubeconfig": kubernetes_cluster.kubeconfig.read_text()})
    for one in kubernetes_cluster.send("GET", JOBS)["items"]:
        kubernetes_cluster.send("DELETE", f"{JOBS}/{one['metadata']['name']}")


@pytest.mark.service
def test_the_bucket_is_copied_at_once(api):
    name = copy_bucket(api, COPY, print)
    done = api.send("GET", f"{JOBS}/{name}")
    assert name.startswith("lake-backup-2") and done["status"]["succeeded"] == 1
    assert NAMED["labels"].items() <= done["metadata"]["labels"].items()


@pytest.mark.service
def test_two_copies_at_once_are_refused(api):
    waiting = {**COPY["spec"]["jobTemplate"]["spec"], "suspend": True}
    metadata = {"name": "nightly", "labels": NAMED["labels"]}
    api.send("POST", JOBS, {"metadata": metadata, "spec": waiting})
    with pytest.raises(BackupError, match="job nightly copies it: try again when it is over"):
        copy_bucket(api, COPY, print)


@pytest.mark.service
@pytest.mark.parametrize(
    ("status", "error"),
    [({"phase": "completed"}, ""), ({"phase": "failed", "error": "no such bucket"}, "no such b")],
)
def test_a_base_backup_is_made_at_once(api, kubernetes_cluster, status, error):
    def operate(said: str) -> None:  # once it is told, it is there
        path = said.removeprefix("PostgreSQL: ")
        assert api.send("GET", path)["spec"] == {k: DAILY["spec"][k] for k in KEPT}
        kubernetes_cluster.send("PATCH", f"{path}/status", {"status": status})

    if error:
        with pytest.raises(BackupError, match=error):
            base_backup(api, DAILY, operate)
    else:
        assert base_backup(api, DAILY, operate).startswith("postgres-daily-2")


@pytest.fixture
def stack(tmp_path):
    """On a cluster, with a backup store, as far as its settings say."""
    paths = Paths(root=tmp_path, home=tmp_path / "home")
    (tmp_path / "Pulumi.yaml").write_text((Paths.find().root / "Pulumi.yaml").read_text())
    made = Stack(name="prod", paths=paths)
    made.config_file.write_text(yaml.safe_dump({"config": {**CLUSTER, **STORE}}))
    return made


def test_without_a_backup_store_the_keys_are_named(stack):
    stack.config_file.write_text(yaml.safe_dump({"config": CLUSTER}))
    with pytest.raises(
        BackupError, match="no backup store: set backupEndpoint, .*backup:password"
    ):
        back_up(stack, print)


@pytest.mark.service
def test_a_recovery_begins_with_the_newest_restore_point_until_a_time(
    stack, minio_server, monkeypatch
):
    store = object_store(minio_server)
    for archive, time in (
        ("postgres", "2026-11-26T05:00:01Z"),
        ("second", "2026-11-27T05:00:02Z"),
    ):
        text = json.dumps({"archive": archive}).encode()
        store.put_object(
            "datalake", f"prod/restore-points/{time}.json", io.BytesIO(text), len(text)
        )
    monkeypatch.setattr(clients, "backup_store", lambda *_: store)
    settings = stack.settings()
    newest = RestorePoint(archive="second", time="2026-11-27T05:00:02Z")
    former = RestorePoint(archive="postgres", time="2026-11-26T05:00:01Z")
    assert chosen(stack, settings, "") == newest
    assert chosen(stack, settings, "2026-11-27T05:00:02Z") == newest
    assert chosen(stack, settings, "2026-11-27T06:00:01+01:00") == former
    with pytest.raises(BackupError, match="no restore point of stack 'prod' until 2026-01-01"):
        chosen(stack, settings, "2026-01-01T00:00Z")
    with pytest.raises(BackupError, match="--at 'noon': "):
        chosen(stack, settings, "noon")
    object_store(minio_server)  # empty for others
