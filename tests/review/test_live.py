"""Sizes from services that run, and none from those that do not."""

import io

import pytest
from minio import Minio

from dynamic_providers.airbyte import connection, destination, source, sync
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.dremio import space, view
from flow.derive import BUCKET
from review.live import Live, reachable
from review.loss import Estimate, Loss
from tests.fakes.airbyte import Airbyte
from tests.fakes.serving import serving
from tests.support.engines import make, object_store, running_dremio
from tests.support.ports import free_ports

LAKE = {
    "destinationType": "s3",
    "s3_bucket_name": BUCKET,
    "s3_bucket_path": "bronze",
    "s3_bucket_region": "us-east-1",
    "format": {"format_type": "JSONL"},
}


def loss(kind: str, name: str) -> Loss:
    return Loss(effect="loss", what="it", why="so", measure=(kind, name))


def test_without_services_everything_is_unknown():
    live = Live()
    for kind in ("bucket", "connection", "dataset", "service", "volume", ""):
        assert live.measure(loss(kind, "datalake")) == Estimate()
    assert live.measure(loss("layers", "silver,gold")) == Estimate()


def test_a_service_that_went_away_is_unknown_and_not_an_error():
    gone = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert not reachable(gone)
    store = Minio(gone.removeprefix("http://"), access_key="a", secret_key="b", secure=False)
    store._http.connection_pool_kw["retries"] = False
    assert Live(store=store).measure(loss("bucket", BUCKET)).size_bytes is None


def test_the_folder_of_a_service_is_measured(tmp_path):
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "table").write_bytes(b"x" * 100_000)
    size = Live(services=tmp_path).measure(loss("service", "postgres")).size_bytes
    assert 100_000 <= size < 200_000


@pytest.mark.service
def test_rows_come_from_dremio(service_place):
    with running_dremio(service_place("review-dremio")) as (url, client):
        assert reachable(url)
        make(space, client, name="bronze")
        make(space, client, name="gold")
        make(view, client, path=["bronze", "two"], sql="SELECT 1 AS a UNION ALL SELECT 2")
        make(view, client, path=["gold", "one"], sql="SELECT 1 AS a")
        live = Live(dremio=client)
        assert live.measure(loss("dataset", "bronze.two")).rows == 2
        assert live.measure(loss("layers", "silver,gold")).rows == 1
        assert live.measure(loss("bucket", BUCKET)).rows == 3
        assert live.measure(loss("dataset", "bronze.none")).rows is None


@pytest.mark.service
def test_bytes_come_from_the_object_store(minio_server):
    store = object_store(minio_server)
    for name, size in (("bronze/a", 1000), ("gold/b", 24)):
        store.put_object(BUCKET, name, io.BytesIO(b"x" * size), size)
    live = Live(store=store)
    assert live.measure(loss("bucket", BUCKET)).size_bytes == 1024
    assert live.measure(loss("layers", "silver,gold")).size_bytes == 24
    assert live.measure(loss("bucket", "no-such-bucket")).size_bytes is None


def test_what_a_connection_has_read_comes_from_airbyte():
    with serving(Airbyte("of-the-test").app) as url:
        client = AirbyteClient(url, "of-the-test")
        ids = {
            "sourceId": make(source, client, name="shop", configuration={"sourceType": "faker"}),
            "destinationId": make(destination, client, name="lake", configuration=LAKE),
        }
        streams = [{"name": "orders", "syncMode": "full_refresh_append"}]
        id_ = make(connection, client, name="shop", streams=streams, **ids)
        live = Live(airbyte=client)
        assert live.measure(loss("connection", "shop")).rows == 0
        make(sync, client, connectionId=id_, triggers={})
        assert Live(airbyte=client).measure(loss("connection", "shop")) == Estimate(
            rows=10, size_bytes=1000
        )
        assert Live(airbyte=client).measure(loss("sync", id_)) == Estimate(
            rows=10, size_bytes=1000
        )
        assert Live(airbyte=client).measure(loss("sync", "unknown")).rows in (None, 0)
        client.close()
