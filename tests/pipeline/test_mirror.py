"""Copies of the lake on two real object stores, the second one over TLS: what is copied, what is
not copied again, what comes back."""

import io
import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.versioningconfig import ENABLED, VersioningConfig
from prometheus_client import CollectorRegistry
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, SSLError

from components.storage.backups import COPY_ACCESS, WATCH_ACCESS
from components.storage.object_store import Access
from flow.derive import BUCKET
from pipeline import mirror
from pipeline.config import MirrorConfig, StoreConfig
from pipeline.exporters import CopyMetrics
from pipeline.mirror import main, recover, save
from pipeline.progress import StepError
from tests.services_fixtures import Server
from tests.support import tls
from tests.support.engines import object_store

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]
BACKUPS = "example-backups"
FOLDERS = ("bronze", "gold")
COPIES = "prod/lake/"
PARTS = 11_000_000  # bytes: more than one part
LAKE = {
    "bronze/shop/orders/date=2026-01-01/part 1 ü+%.parquet": b"orders",
    "bronze/shop/orders/date=2026-01-01.parquet": b"sorts before the folder",
    "bronze/shop/large.parquet": b"\x01" * PARTS,
    "gold/empty.json": b"",
    "gold/fct_orders/0_0.parquet": b"gold",
    "logs/not-copied.log": b"a log",
}
COPIED = {name for name in LAKE if not name.startswith("logs/")}


@pytest.fixture
def lake(minio_server) -> Minio:
    client = object_store(minio_server)
    for name, content in LAKE.items():
        write(client, name, content)
    yield client
    object_store(minio_server)  # empty for others


@pytest.fixture
def backup(secure_minio) -> Minio:
    """A client of the backup store, with an empty bucket that keeps versions."""
    client = Minio(
        secure_minio.address,
        secure_minio.user,
        secure_minio.password,
        http_client=urllib3.PoolManager(ssl_context=tls.trusting(tls.SIGNER)),
    )
    if client.bucket_exists(BACKUPS):
        for one in client.list_objects(BACKUPS, recursive=True, include_version=True):
            client.remove_object(BACKUPS, one.object_name, one.version_id)
        client.remove_bucket(BACKUPS)
    client.make_bucket(BACKUPS)
    client.set_bucket_versioning(BACKUPS, VersioningConfig(ENABLED))
    return client


def write(client: Minio, name: str, content: bytes, part_size: int = 0) -> None:
    client.put_object(
        BUCKET,
        name,
        io.BytesIO(content),
        len(content),
        content_type="application/x-parquet",
        metadata={"origin": "test"},
        part_size=part_size,
    )


def told(folder, name: str, user: str, password: str, **more) -> StoreConfig:
    files = {f"{kind}_file": folder / f"{name}-{kind}" for kind in ("user", "password")}
    files["user_file"].write_text(user)
    files["password_file"].write_text(password)
    return StoreConfig(region="us-east-1", **files, **more)


@pytest.fixture
def config(tmp_path, minio_server, secure_minio) -> MirrorConfig:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text(tls.SIGNER.certificate)
    return MirrorConfig(
        lake=told(
            *(tmp_path, "lake", minio_server.user, minio_server.password),
            url=minio_server.url,
            bucket=BUCKET,
            ca_file=None,
        ),
        backup=told(
            *(tmp_path, "backup", secure_minio.user, secure_minio.password),
            url=secure_minio.url,
            bucket=BACKUPS,
            ca_file=ca_file,
        ),
        prefix="prod",
        folders=FOLDERS,
        archive="postgres",
        restore_point="",
    )


def held(client: Minio, bucket: str = BUCKET, prefix: str = "") -> dict[str, tuple]:
    """Name -> what an object is, of those below a prefix."""
    found = {}
    for one in client.list_objects(bucket, prefix=prefix, recursive=True):
        answer = client.get_object(bucket, one.object_name)
        kind = answer.headers["Content-Type"], answer.headers.get("x-amz-meta-origin")
        found[one.object_name.removeprefix(prefix)] = (answer.read(), *kind)
        answer.close()
        answer.release_conn()
    return found


def the_point(backup: Minio) -> str:
    return list(mirror.points(backup, BACKUPS, "prod"))[-1]


def test_the_first_copy_has_all_of_the_folders(lake, backup, config, progress):
    done = save(config, progress)
    assert held(backup, BACKUPS, COPIES) == {
        name: (LAKE[name], "application/x-parquet", "test") for name in COPIED
    }
    size = sum(len(LAKE[name]) for name in COPIED)
    assert done == mirror.Counts(objects=5, size=size, copied=5, sent=size)
    (point,) = mirror.points(backup, BACKUPS, "prod")
    about = json.loads(backup.get_object(BACKUPS, f"prod/restore-points/{point}.json").data)
    assert about == {"archive": "postgres", "objects": 5, "bytes": size}


def test_a_second_copy_sends_what_has_changed(lake, backup, config, progress):
    save(config, progress)
    assert save(config, progress).copied == 0
    write(lake, "gold/fct_orders/0_0.parquet", b"GOLD")  # as long as before
    write(lake, "bronze/shop/large.parquet", b"\x01" * (PARTS - 1) + b"\x02")
    write(lake, "bronze/shop/new.parquet", b"new")
    done = save(config, progress)
    assert (done.copied, done.sent, done.removed) == (3, PARTS + 7, 0)
    copies = held(backup, BACKUPS, COPIES)
    assert {name: copy[0] for name, copy in copies.items()} == {
        name: content[0] for name, content in held(lake).items() if name.startswith(FOLDERS)
    }


def test_how_an_object_was_sent_does_not_matter(lake, backup, config, progress):
    """Sent in other parts its etag is another one, though its bytes are the same."""
    write(lake, "bronze/shop/large.parquet", LAKE["bronze/shop/large.parquet"], 6 << 20)
    save(config, progress)
    mine = lake.stat_object(BUCKET, "bronze/shop/large.parquet").etag
    assert backup.stat_object(BACKUPS, f"{COPIES}bronze/shop/large.parquet").etag != mine
    assert save(config, progress).copied == 0


def test_what_the_lake_deletes_stays_as_a_version(lake, backup, config, progress):
    save(config, progress)
    lake.remove_object(BUCKET, "gold/fct_orders/0_0.parquet")
    assert save(config, progress).removed == 1
    name = f"{COPIES}gold/fct_orders/0_0.parquet"
    assert f"{COPIES}gold/fct_orders/0_0.parquet" not in held(backup, BACKUPS)
    versions = list(backup.list_objects(BACKUPS, name, include_version=True))
    assert [one.is_delete_marker for one in versions].count(False) == 1


def test_a_lake_comes_back_as_it_was_at_a_restore_point(lake, backup, config, progress):
    save(config, progress)
    point, before = the_point(backup), held(lake)
    lake.remove_object(BUCKET, "gold/fct_orders/0_0.parquet")
    write(lake, "bronze/shop/large.parquet", b"overwritten by a mistake")
    write(lake, "bronze/shop/later.parquet", b"later")
    later = save(config, progress, lambda: datetime.now(UTC) + timedelta(days=1))
    assert (later.copied, later.removed) == (2, 1)
    for one in list(lake.list_objects(BUCKET, recursive=True)):
        lake.remove_object(BUCKET, one.object_name)

    done = recover(replace(config, restore_point=point), progress)
    assert done.copied == len(COPIED)
    mark = f"recovered/{point}"
    back = held(lake)
    assert back.pop(mark)[0] == b""
    assert back == {name: before[name] for name in COPIED}


def test_a_recovery_is_done_once(lake, backup, config, progress):
    """Else a job that is made anew would bring the past back."""
    save(config, progress)
    wanted = replace(config, restore_point=the_point(backup))
    recover(wanted, progress)
    write(lake, "gold/fct_orders/0_0.parquet", b"what the flow made since")
    assert recover(wanted, progress) == mirror.Counts()
    assert held(lake)["gold/fct_orders/0_0.parquet"][0] == b"what the flow made since"


def test_an_interrupted_recovery_goes_on(lake, backup, config, progress):
    save(config, progress)
    wanted = replace(config, restore_point=the_point(backup))
    for name in ("bronze/shop/large.parquet", "gold/empty.json"):  # as if the rest came back
        lake.remove_object(BUCKET, name)
    assert recover(wanted, progress).copied == 2


def test_what_came_back_is_not_copied_once_more(lake, backup, config, progress):
    save(config, progress)
    for one in list(lake.list_objects(BUCKET, recursive=True)):
        lake.remove_object(BUCKET, one.object_name)
    recover(replace(config, restore_point=the_point(backup)), progress)
    assert save(config, progress).copied == 0


def test_what_else_the_lake_has_stays(lake, backup, config, progress):
    save(config, progress)
    write(lake, "bronze/shop/another.parquet", b"another")
    recover(replace(config, restore_point=the_point(backup)), progress)
    assert "bronze/shop/another.parquet" in held(lake)


def test_an_interrupted_copy_goes_on(lake, backup, config, progress, monkeypatch):
    sent = []

    def interrupted(*arguments):
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(put(*arguments))

    put = mirror.put
    with monkeypatch.context() as patched:
        patched.setattr(mirror, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(config, progress)
    assert mirror.points(backup, BACKUPS, "prod") == {}
    done = save(config, progress)
    assert (done.objects, done.copied) == (len(COPIED), len(COPIED) - 3)


def test_an_object_that_goes_away_meanwhile_is_no_failure(lake, backup, config, progress):
    there = mirror.connect(config.lake)
    gone = mirror.Entry(name="bronze/gone.parquet", etag="1", size=1)
    copies = mirror.connect(config.backup, COPIES)
    with progress.step("x", "x") as step:
        done = mirror.bring(there, copies, [(gone, None)], step, removing=True)
    assert done == mirror.Counts()


def test_old_restore_points_are_forgotten(lake, backup, config, progress):
    for name in ("2026-01-01T05:00:00Z", "2999-01-01T05:00:00Z"):
        backup.put_object(BACKUPS, f"prod/restore-points/{name}.json", io.BytesIO(b"{}"), 2)
    save(config, progress)
    known = mirror.points(backup, BACKUPS, "prod")
    assert len(known) == 2 and "2026-01-01T05:00:00Z" not in known


def test_a_bucket_without_versions_is_refused(lake, backup, config, progress):
    backup.set_bucket_versioning(BACKUPS, VersioningConfig("Suspended"))
    with pytest.raises(StepError, match="example-backups: keeps no versions"):
        save(config, progress)
    assert held(backup, BACKUPS) == {}


def test_a_wrong_account_is_told_without_its_key(lake, backup, config, progress):
    config.backup.password_file.write_text("not-the-password")
    with pytest.raises(StepError, match="example-backups: SignatureDoesNotMatch") as error:
        save(config, progress)
    assert error.value.remedy == "Check the account, and its rights on the bucket."
    assert "not-the-password" not in str(error.value)


def test_a_missing_bucket_is_told(lake, backup, config, progress):
    wrong = replace(config, backup=replace(config.backup, bucket="nowhere"))
    with pytest.raises(StepError, match="nowhere: NoSuchBucket"):
        save(wrong, progress)


def test_an_unknown_restore_point_is_told_with_the_known_ones(lake, backup, config, progress):
    save(config, progress)
    with pytest.raises(StepError, match="no restore point '2026-01-01'") as error:
        recover(replace(config, restore_point="2026-01-01"), progress)
    assert the_point(backup) in error.value.remedy


def test_a_store_is_verified(lake, backup, config, progress, tmp_path):
    (tmp_path / "ca.crt").write_text(tls.STRANGER.certificate)
    with pytest.raises(StepError, match="certificate verify failed"):
        save(config, progress)


def test_an_untrusted_certificate_is_refused_at_once():
    with pytest.raises(MaxRetryError):
        mirror.RETRIES.increment("GET", "/", error=SSLError(ssl.SSLCertVerificationError()))


@pytest.mark.parametrize(
    "lost",
    [
        NewConnectionError(cast(Any, None), "refused"),
        ProtocolError("reset"),
        SSLError(ssl.SSLEOFError()),
    ],
)
def test_a_lost_connection_is_tried_again(lost):
    assert mirror.RETRIES.increment("GET", "/", error=lost).total == 4


def admit(server: Server, config: StoreConfig, access: Access) -> None:
    """Lets an account use a store, as the platform declares it."""
    admin = MinioAdmin(
        endpoint=server.address,
        credentials=StaticProvider(server.user, server.password),
        secure=False,
    )
    admin.user_add(access.user, "of-the-account")
    admin.policy_add(access.user, policy=json.loads(access.policy()))
    admin.attach_policy([access.user], access.user)
    config.user_file.write_text(access.user)
    config.password_file.write_text("of-the-account")


def test_the_rights_of_the_copys_user_are_enough_and_only_to_read(
    lake, backup, config, progress, minio_server
):
    admit(minio_server, config.lake, COPY_ACCESS)
    assert save(config, progress).copied == len(COPIED)
    with pytest.raises(StepError, match="bronze/x: AccessDenied"):
        entry = mirror.Entry(name="bronze/x", etag="", size=0)
        store = mirror.connect(config.lake)
        with store.told(entry.name):
            store.client.put_object(BUCKET, entry.name, io.BytesIO(b""), 0)


def last_backup(config: MirrorConfig, since: datetime) -> float | None:
    registry = CollectorRegistry()
    registry.register(CopyMetrics(config.lake, since))
    return registry.get_sample_value("lake_backup_timestamp_seconds")


def test_who_watches_the_copy_sees_when_it_was_made_and_nothing_else(
    lake, backup, config, progress, minio_server
):
    waiting_since = datetime(2026, 11, 1, tzinfo=UTC)
    began = datetime.now(UTC).timestamp()
    assert last_backup(config, waiting_since) == waiting_since.timestamp()
    save(config, progress)
    admit(minio_server, config.lake, WATCH_ACCESS)
    assert began - 1 < last_backup(config, waiting_since) < began + 60
    with pytest.raises(StepError, match="AccessDenied"):
        list(mirror.connect(config.lake).listed("bronze"))


def test_a_copy_that_fails_is_none(lake, backup, config, progress):
    backup.set_bucket_versioning(BACKUPS, VersioningConfig("Suspended"))
    with pytest.raises(StepError):
        save(config, progress)
    assert mirror.last_copied(mirror.connect(config.lake)) is None


def test_a_listing_out_of_order_is_refused(lake, config):
    store = mirror.connect(config.lake)
    listing = list(store.client.list_objects(BUCKET, prefix="bronze/", recursive=True))
    store.client.list_objects = lambda *_, **__: iter(reversed(listing))
    with pytest.raises(StepError, match="lists 'bronze/"):
        list(store.listed("bronze"))


@pytest.fixture
def written(config, tmp_path):
    """The settings, as the file that the platform renders."""

    def store(one: StoreConfig) -> dict:
        return {
            "url": one.url,
            "bucket": one.bucket,
            "region": one.region,
            "userFile": str(one.user_file),
            "passwordFile": str(one.password_file),
            **({"caFile": str(one.ca_file)} if one.ca_file else {}),
        }

    file = tmp_path / "mirror.json"
    file.write_text(
        json.dumps(
            {
                "lake": store(config.lake),
                "backup": store(config.backup),
                "prefix": config.prefix,
                "folders": list(config.folders),
                "archive": config.archive,
            }
        )
    )
    return file


def test_the_command_tells_what_it_did(lake, backup, written, capsys):
    assert main(["save", "--config", str(written)]) == 0
    told = capsys.readouterr().out
    assert "5 objects" in told and "5 copied" in told and "restore point 20" in told


def test_the_command_ends_with_1_for_a_failure_and_2_for_wrong_settings(
    lake, backup, config, written, capsys
):
    config.backup.user_file.write_text("nobody")
    assert main(["save", "--config", str(written)]) == 1
    assert "InvalidAccessKeyId" in capsys.readouterr().out
    written.write_text("{}")
    assert main(["save", "--config", str(written)]) == 2
    assert "lake: missing" in capsys.readouterr().err
