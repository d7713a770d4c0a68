"""Traps of Dremio's API, against the fake that keeps them."""

import pytest

from dynamic_providers.api import ApiError
from dynamic_providers.dremio import (
    aggregation_reflection,
    first_user,
    physical_dataset,
    raw_reflection,
    source,
    space,
    view,
)
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.waiting import WorkFailedError
from tests.dynamic_providers.cases import made


def lake(**more) -> dict:
    config = source.minio_config("127.0.0.1:9000", "dremio", "key-of-the-5tore", ["datalake"])
    return source.normalize({"name": "lake", "type": "S3", "config": {**config, **more}})


def a_view(service, sql="SELECT 1 AS id", name="one") -> list[str]:
    made(space, service, {"name": "gold"})
    made(view, service, {"path": ["gold", name], "sql": sql})
    return ["gold", name]


def test_the_first_user_is_verified_when_the_server_has_one(dremio, dremio_fake):
    spec = first_user.normalize({})
    assert first_user.create(dremio.client, spec).id == "admin"
    dremio_fake.user["password"] = "of somebody else"
    with pytest.raises(ApiError) as raised:
        first_user.create(dremio.client, spec)
    assert raised.value.status == 401
    assert dremio.client.password not in str(raised.value)


def test_the_first_user_of_an_emptied_server_is_gone(dremio, dremio_fake):
    dremio_fake.user = None
    assert first_user.read(dremio.client, "admin", first_user.normalize({})) is None


def test_an_expired_session_is_renewed(dremio, dremio_fake):
    made(space, dremio, {"name": "gold"})
    dremio_fake.tokens.clear()
    assert space.read(dremio.client, "gold", {}) is not None


def test_another_kind_of_that_name_is_neither_adopted_nor_deleted(dremio):
    spec = lake()
    source.create(dremio.client, spec)
    with pytest.raises(InputError, match="taken by a source, not a space"):
        made(space, dremio, {"name": "lake"})
    assert space.read(dremio.client, "lake", {}) is None
    space.delete(dremio.client, "lake", {"name": "lake"})
    assert source.read(dremio.client, "lake", spec) is not None
    with pytest.raises(InputError, match="type S3, not NAS"):
        made(source, dremio, {"name": "lake", "type": "NAS", "config": {"path": "/data"}})


def test_defaults_and_masks_of_a_source_are_no_drift_but_a_bucket_is(dremio, dremio_fake):
    spec = lake()
    source.create(dremio.client, spec)
    stored = dremio_fake.objects[("lake",)]["config"]
    assert stored["isCachingEnabled"] is True  # a default of the server
    stored["whitelistedBuckets"] = ["datalake", "other"]
    found = source.read(dremio.client, "lake", spec).inputs
    assert found["config"] == {**spec["config"], "whitelistedBuckets": ["datalake", "other"]}


def a_table(service, fake) -> list[str]:
    source.create(service.client, lake(rootPath="/"))
    path = ["lake", "datalake", "orders"]
    fake.files.add(tuple(path))
    made(physical_dataset, service, {"path": path, "format": {"type": "Parquet"}})
    return path


def test_a_change_that_would_lose_datasets_is_refused_with_their_names(dremio, dremio_fake):
    a_table(dremio, dremio_fake)
    before = dict(dremio_fake.objects[("lake",)])
    old, new = lake(rootPath="/"), lake(rootPath="/elsewhere")
    with pytest.raises(InputError, match="drop all datasets.*: lake.datalake.orders; .*allowMeta"):
        source.update(dremio.client, "lake", old, new)
    assert dremio_fake.objects[("lake",)] == before
    source.update(dremio.client, "lake", old, {**new, "allowMetadataLoss": True})
    assert dremio_fake.objects[("lake",)]["config"]["rootPath"] == "/elsewhere"
    assert "allowMetadataLoss" not in dremio_fake.objects[("lake",)]


def test_a_change_of_a_source_without_datasets_loses_nothing(dremio, dremio_fake):
    source.create(dremio.client, lake(rootPath="/"))
    source.update(dremio.client, "lake", lake(rootPath="/"), lake(rootPath="/elsewhere"))
    assert dremio_fake.objects[("lake",)]["config"]["rootPath"] == "/elsewhere"


def test_a_source_that_looks_elsewhere_fails_in_the_preview():
    old = lake(rootPath="/")
    with pytest.raises(InputError, match="drop all datasets") as raised:
        source.review(old, lake(rootPath="/elsewhere"))
    assert raised.value.field == "config.rootPath"
    source.review(old, {**lake(rootPath="/elsewhere"), "allowMetadataLoss": True})
    source.review(old, lake(rootPath=UNKNOWN))
    source.review(old, lake())  # the server keeps what it has
    source.review(old, {**lake(rootPath="/elsewhere"), "name": "other"})  # a replacement


class Meddler(DremioClient):
    """Changes the object behind the caller's back just before the first PUT."""

    meddle = None

    def _put(self, path, body):
        if self.meddle:
            meddle, self.meddle = self.meddle, None
            meddle()
        return super()._put(path, body)


@pytest.fixture
def meddler(dremio, dremio_fake):
    client = Meddler(str(dremio.client.api._http.base_url), dremio.client.password)
    yield client
    client.close()


def test_a_stale_tag_is_repeated_when_our_fields_are_untouched(dremio, meddler, dremio_fake):
    path = a_view(dremio)
    meddler.meddle = lambda: dremio_fake.objects[tuple(path)].update(tag="moved", owner="x")
    spec = view.normalize({"path": path, "sql": "SELECT 2 AS id"})
    view.update(meddler, "gold.one", spec, spec)
    assert dremio_fake.objects[tuple(path)]["sql"] == "SELECT 2 AS id"


def test_a_stale_tag_is_an_error_when_somebody_changed_our_fields(dremio, meddler, dremio_fake):
    path = a_view(dremio)
    meddler.meddle = lambda: dremio_fake.objects[tuple(path)].update(tag="moved", sql="SELECT 9")
    spec = view.normalize({"path": path, "sql": "SELECT 2 AS id"})
    with pytest.raises(ApiError) as raised:
        view.update(meddler, "gold.one", spec, spec)
    assert raised.value.status == 409
    assert dremio_fake.objects[tuple(path)]["sql"] == "SELECT 9"


def test_a_folder_without_files_cannot_be_promoted(dremio):
    source.create(dremio.client, lake())
    spec = physical_dataset.normalize({"path": ["lake", "none"], "format": {"type": "Parquet"}})
    with pytest.raises(InputError, match="nothing there to promote"):
        physical_dataset.create(dremio.client, spec)


def reflected(path, **more) -> dict:
    return raw_reflection.normalize(
        {"name": "raw", "datasetPath": path, "displayFields": ["id"], "timeoutS": 30, **more}
    )


def test_a_reflection_that_cannot_be_built_says_why_and_is_taken_over_later(dremio, dremio_fake):
    spec = reflected(a_view(dremio))
    dremio_fake.failure = "column id is of type MAP"
    with pytest.raises(WorkFailedError, match="column id is of type MAP"):
        raw_reflection.create(dremio.client, spec)
    (broken,) = dremio_fake.reflections.values()
    broken["failure"] = None
    assert raw_reflection.create(dremio.client, spec).id == broken["id"]


def test_a_disabled_reflection_is_not_waited_for(dremio, dremio_fake):
    spec = reflected(a_view(dremio), enabled=False, timeoutS=1)
    id_ = raw_reflection.create(dremio.client, spec).id
    assert raw_reflection.read(dremio.client, id_, spec).inputs == spec


def test_a_reflection_of_the_other_type_is_not_adopted(dremio):
    path = a_view(dremio)
    raw_reflection.create(dremio.client, reflected(path))
    with pytest.raises(InputError, match="taken by a reflection of type RAW"):
        made(
            aggregation_reflection,
            dremio,
            {"name": "raw", "datasetPath": path, "dimensionFields": ["id"]},
        )


def test_a_reflection_whose_dataset_was_made_anew_is_gone(dremio):
    path = a_view(dremio)
    spec = reflected(path)
    id_ = raw_reflection.create(dremio.client, spec).id
    live = dremio.client.by_path(path)
    dremio.client.send("DELETE", entity(live["id"]))
    assert raw_reflection.read(dremio.client, id_, spec) is None
    a_view(dremio)
    assert raw_reflection.read(dremio.client, id_, spec) is None
    assert raw_reflection.create(dremio.client, spec).id != id_
