"""Traps of Dremio's API, against the fake that keeps them."""

import pytest

from dynamic_providers.api import ApiError
from dynamic_providers.dremio import (
    aggregation_reflection,
    first_user,
    grant,
    physical_dataset,
    raw_reflection,
    role,
    script,
    source,
    space,
    tag,
    user,
    view,
    wiki,
)
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.dremio.edition import EditionError
from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.waiting import WorkFailedError
from tests.dynamic_providers.cases import made, unique


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
    source.review(old, lake())  # the default may be the same: only the server can tell
    source.review(old, {**lake(rootPath="/elsewhere"), "name": "other"})  # a replacement


class Meddler(DremioClient):
    """Changes the object behind the caller's back just before the first PUT, POST or DELETE."""

    meddle = before_post = before_delete = None

    def require(self, method, path, body=None):
        if self.before_post and method == "POST":
            meddle, self.before_post = self.before_post, None
            meddle()
        return super().require(method, path, body)

    def send(self, method, path, body=None, **params):
        if self.before_delete and method == "DELETE":
            meddle, self.before_delete = self.before_delete, None
            meddle()
        return super().send(method, path, body, **params)

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


def test_a_deleted_object_that_changed_meanwhile_is_deleted(dremio, meddler, dremio_fake):
    path = a_view(dremio)
    stored = dremio_fake.objects[tuple(path)]
    meddler.before_delete = lambda: stored.update(tag="moved")
    view.delete(meddler, "gold.one", {})
    assert tuple(path) not in dremio_fake.objects


@pytest.mark.parametrize(
    ("query", "context"),
    [
        ("SELECT * FROM gold.one", None),
        ('SELECT * FROM "GOLD"."One" AS o', None),
        ('SELECT * FROM "gold.one"', None),
        ("SELECT x.id FROM silver.t x JOIN one ON one.id = x.id", ["gold"]),
    ],
)
def test_a_view_that_others_read_is_not_deleted(dremio, query, context):
    a_view(dremio)
    made(space, dremio, {"name": "serving"})
    made(view, dremio, {"path": ["serving", "kpi"], "sql": query, "sqlContext": context or []})
    with pytest.raises(InputError, match=r"gold.one is read by serving.kpi.*allowBreakViews"):
        view.delete(dremio.client, "gold.one", {"path": ["gold", "one"]})
    assert dremio.client.by_path(["gold", "one"]) is not None
    view.delete(dremio.client, "gold.one", {"allowBreakViews": True})
    assert dremio.client.by_path(["gold", "one"]) is None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'gold.one' AS one FROM silver.other",
        "SELECT 1 -- FROM gold.one",
        "SELECT * FROM silver.one",
        "SELECT one FROM one",
    ],
)
def test_a_view_that_only_speaks_of_another_does_not_keep_it(dremio, query):
    a_view(dremio)
    made(space, dremio, {"name": "serving"})
    made(view, dremio, {"path": ["serving", "kpi"], "sql": query})
    view.delete(dremio.client, "gold.one", {"path": ["gold", "one"]})
    assert dremio.client.by_path(["gold", "one"]) is None


def test_a_table_that_views_read_stays_promoted(dremio, dremio_fake):
    path = a_table(dremio, dremio_fake)
    a_view(dremio, 'SELECT * FROM "lake"."datalake"."orders"')
    with pytest.raises(InputError, match=r"lake.datalake.orders is read by gold.one"):
        physical_dataset.delete(dremio.client, "lake.datalake.orders", {})
    assert tuple(path) in dremio_fake.objects


def test_more_views_than_one_page_of_results_are_all_found(dremio, dremio_fake):
    a_view(dremio)
    for number in range(501):
        path = ("gold", f"reader{number:03}")
        entity_ = {"entityType": "dataset", "type": "VIRTUAL_DATASET", "id": path[1], "tag": "1"}
        dremio_fake.objects[path] = {**entity_, "sql": "SELECT * FROM gold.one"}
    with pytest.raises(InputError, match="gold.reader009 and 491 more"):
        view.delete(dremio.client, "gold.one", {})


def test_the_layout_of_a_query_is_no_drift_but_its_meaning_is(dremio, dremio_fake):
    path = a_view(dremio, "SELECT id,\n  'a  b' AS text -- the key\nFROM lake.t")
    spec = view.normalize({"path": path, "sql": "SELECT id, 'a  b' AS text FROM lake.t"})
    assert view.read(dremio.client, "gold.one", spec).inputs == spec
    changed = {**spec, "sql": "SELECT id, 'a b' AS text FROM lake.t"}
    assert view.read(dremio.client, "gold.one", changed).inputs != changed


def test_views_are_ordered_by_what_they_read():
    def one(name: str, query: str, *context: str) -> dict:
        return view.normalize({"path": ["gold", name], "sql": query, "sqlContext": list(context)})

    top = one("a_top", "SELECT * FROM middle", "gold")
    middle = one("b_middle", "SELECT * FROM gold.base")
    middle["path"] = ["gold", "middle"]
    base = one("base", "SELECT * FROM lake.t")
    assert view.in_order([top, middle, base]) == [base, middle, top]
    with pytest.raises(InputError, match="read each other: .*gold.x"):
        view.in_order([one("x", "SELECT * FROM gold.y"), one("y", "SELECT * FROM gold.x")])


def test_a_secured_view_shows_the_permitted_columns_alone():
    query = view.secured_sql(["lake", "a.b"], ["id", 'x"y'], "region = 'EU'")
    assert query == """SELECT "id", "x""y" FROM "lake"."a.b" WHERE region = 'EU'"""
    with pytest.raises(InputError, match="one entry or more"):
        view.secured_sql(["lake", "t"], [])


def granted(service, privileges=("SELECT",), name="readers") -> tuple[list[str], dict]:
    path = a_view(service)
    made(role, service, {"name": name})
    given = [{"granteeType": "ROLE", "name": name, "privileges": list(privileges)}]
    spec = grant.normalize({"path": path, "grants": given})
    grant.create(service.client, spec)
    return path, spec


def test_grants_of_others_are_kept(dremio, dremio_fake):
    path, spec = granted(dremio)
    (object_id,) = dremio_fake.grants
    made(role, dremio, {"name": "auditors"})
    foreign = {"granteeType": "ROLE", "name": "auditors", "privileges": ["ALTER"]}
    auditors = dremio.client.send("GET", "/role/by-name/auditors")["id"]
    dremio_fake.grants[object_id].append({**foreign, "id": auditors})
    assert grant.read(dremio.client, "gold.one", spec).inputs == spec
    wider = grant.normalize({**spec, "grants": [{**spec["grants"][0], "privileges": ["ALTER"]}]})
    grant.update(dremio.client, "gold.one", spec, wider)
    assert grant.read(dremio.client, "gold.one", {}).inputs["grants"] == [
        foreign, {**wider["grants"][0]}
    ]  # fmt: skip
    grant.delete(dremio.client, "gold.one", wider)
    assert [g["name"] for g in dremio_fake.grants[object_id]] == ["auditors"]


def test_grants_that_the_server_does_not_keep_are_not_reported_as_given(dremio, dremio_fake):
    dremio_fake.ignores_grants = True
    with pytest.raises(WorkFailedError, match="does not keep the grants on gold.one"):
        granted(dremio)


def test_a_grant_names_what_does_not_exist(dremio):
    path = a_view(dremio)
    nobody = {"granteeType": "USER", "name": "nobody", "privileges": ["SELECT"]}
    with pytest.raises(InputError, match="'nobody': no such user") as raised:
        made(grant, dremio, {"path": path, "grants": [nobody]})
    assert raised.value.field == "grants[0].name"
    with pytest.raises(InputError, match="gold.none: no such catalog object"):
        made(grant, dremio, {"path": ["gold", "none"], "grants": [nobody]})


def test_community_edition_refuses_grants_and_roles_and_says_what_is_left(dremio, dremio_fake):
    path = a_view(dremio)
    dremio_fake.edition = "community"
    admin = {"granteeType": "USER", "name": "admin", "privileges": ["SELECT"]}
    readers = {**admin, "granteeType": "ROLE", "name": "readers"}
    for given in (admin, readers):
        with pytest.raises(EditionError, match="nothing can be granted.*secured views"):
            made(grant, dremio, {"path": path, "grants": [given]})
    with pytest.raises(EditionError, match="Community edition"):
        made(role, dremio, {"name": "readers"})
    grant.delete(dremio.client, "gold.one", {"path": path, "grants": [admin]})  # nothing is left
    with pytest.raises(EditionError, match="Community edition"):
        made(user, dremio, {"name": "ann", "password": "of-ann-123", "roles": ["readers"]})


def test_a_deleted_user_of_community_edition_can_no_longer_log_in(dremio, dremio_fake):
    dremio_fake.edition = "community"
    spec = user.normalize({"name": "ann", "password": "of-ann-123"})
    user.create(dremio.client, spec)
    (stored,) = dremio_fake.users.values()
    assert stored["password"] == "of-ann-123"
    assert user.read(dremio.client, "ann", spec).inputs == spec
    user.delete(dremio.client, "ann", spec)
    assert stored["password"] != "of-ann-123"


def test_a_users_password_is_sent_only_when_it_changes(dremio, dremio_fake):
    spec = user.normalize({"name": "ann", "password": "of-ann-123"})
    user.create(dremio.client, spec)
    (stored,) = dremio_fake.users.values()
    stored["password"] = "chosen by ann"
    named = user.normalize({**spec, "firstName": "Ann"})
    user.update(dremio.client, "ann", spec, named)
    assert (stored["firstName"], stored["password"]) == ("Ann", "chosen by ann")


def test_the_user_of_the_stack_itself_is_not_adopted(dremio):
    with pytest.raises(InputError, match="the user of this stack"):
        made(user, dremio, {"name": "admin", "password": "another-1"})


def test_a_weak_password_is_refused_without_showing_it():
    with pytest.raises(InputError, match="a letter and a digit") as raised:
        user.normalize({"name": "ann", "password": "onlyletters"})
    assert "onlyletters" not in str(raised.value)


def test_a_wiki_that_somebody_else_wrote_meanwhile_is_not_written_over(dremio, meddler):
    path = a_view(dremio)
    spec = wiki.normalize({"path": path, "text": "ours"})
    wiki.create(dremio.client, spec)
    theirs = wiki.normalize({"path": path, "text": "theirs"})
    meddler.before_post = lambda: wiki.update(dremio.client, "gold.one", spec, theirs)
    with pytest.raises(ApiError) as raised:
        wiki.update(meddler, "gold.one", spec, wiki.normalize({**spec, "text": "ours again"}))
    assert raised.value.status == 409
    # The same content under a new version is no reason to give up.
    meddler.before_post = lambda: wiki.update(dremio.client, "gold.one", theirs, theirs)
    wiki.update(meddler, "gold.one", theirs, spec)
    assert wiki.read(dremio.client, "gold.one", spec).inputs == spec


def test_tags_of_something_gone_are_gone(dremio):
    assert tag.read(dremio.client, "gold.none", {}) is None
    tag.delete(dremio.client, "gold.none", {})
    with pytest.raises(InputError, match="no such catalog object"):
        made(tag, dremio, {"path": ["gold", "none"], "tags": ["x"]})


def test_a_script_is_found_on_a_later_page(dremio, dremio_fake):
    for number in range(4):
        made(script, dremio, {"name": f"top {number}", "content": "SELECT 1"})
    id_ = made(script, dremio, {"name": "top", "content": "SELECT 1"})
    assert made(script, dremio, {"name": "top", "content": "SELECT 2"}) == id_
    assert len(dremio_fake.scripts) == 5


@pytest.mark.parametrize(
    ("handler", "raw", "field", "says"),
    [
        (source, {"type": "S3", "config": {"bucket": "b"}}, "config.bucket", "whitelistedBuckets"),
        (source, {"type": "NAS", "config": {}}, "config.path", "missing"),
        (source, {"type": "POSTGRES", "config": {"hostname": "h"}}, "config.databaseName", "miss"),
        (
            source,
            {"type": "ELASTIC", "config": {"hostList": [{"hostname": "h", "port": "x"}]}},
            "config.hostList[0].port",
            "a whole number",
        ),
        (source, {"type": "S3", "config": {"secure": "no"}}, "config.secure", "true or false"),
        (
            source,
            {"type": "S3", "config": {"credentialType": "KEY"}},
            "config.credentialType",
            "ACCESS_KEY",
        ),
        (
            source,
            {"type": "X", "config": {}, "metadataPolicy": {"datasetUpdateMode": "ALL"}},
            "metadataPolicy.datasetUpdateMode",
            "PREFETCH_QUERIED",
        ),
        (
            source,
            {"type": "X", "config": {}, "accelerationActivePolicyType": "DAILY"},
            "accelerationActivePolicyType",
            "SCHEDULE",
        ),
        (
            physical_dataset,
            {"format": {"type": "Text", "delimiter": ","}},
            "format.delimiter",
            "fieldDelimiter",
        ),
        (
            physical_dataset,
            {"format": {"type": "JSON"}, "accelerationRefreshPolicy": {"method": "SOME"}},
            "accelerationRefreshPolicy.method",
            "INCREMENTAL",
        ),
        (
            raw_reflection,
            {
                "displayFields": ["id"],
                "partitionFields": [{"name": "id", "transform": {"type": "BUCKET"}}],
            },
            "partitionFields[0].transform.bucketTransform",
            "missing",
        ),
        (grant, {"grants": []}, "grants", "one entry"),
        (
            grant,
            {"grants": [{"granteeType": "GROUP", "name": "g", "privileges": ["SELECT"]}]},
            "grants[0].granteeType",
            "ROLE, USER",
        ),
        (
            grant,
            {"grants": [{"granteeType": "ROLE", "name": "g", "privileges": ["SELECT"]}] * 2},
            "grants",
            "'g' is listed twice",
        ),
        (user, {"password": "x-1234567", "name": "a/b"}, "name", "must not contain"),
        (script, {"name": "n" * 129, "content": "SELECT 1"}, "name", "128 characters"),
    ],
)
def test_a_wrong_input_of_dremio_is_named_with_the_valid_choices(handler, raw, field, says):
    identity = {
        source: {"name": "lake"},
        physical_dataset: {"path": ["a", "b"]},
        raw_reflection: {"name": "r", "datasetPath": ["a", "b"]},
        grant: {"path": ["a"]},
    }
    with pytest.raises(InputError) as raised:
        handler.normalize({**identity.get(handler, {}), **raw})
    assert raised.value.field == field
    assert says in raised.value.reason


def test_a_source_of_an_unknown_type_passes_its_configuration_through():
    raw = {"name": "docs", "type": "MONGO", "config": {"anything": {"goes": [1.0]}}}
    assert source.normalize(raw)["config"] == {"anything": {"goes": [1]}}


def test_the_port_of_a_database_is_a_text_to_the_api():
    config = {"hostname": "h", "port": 5432.0, "databaseName": "shop"}
    spec = source.normalize({"name": "shop", "type": "POSTGRES", "config": config})
    assert spec["config"]["port"] == "5432"


@pytest.mark.service
def test_the_embedded_engine_tells_which_views_read_a_table(embedded_dremio):
    config = source.minio_config(*embedded_dremio.facts["store"])
    lake_ = made(source, embedded_dremio, {"name": unique("lake"), "type": "S3", "config": config})
    path = embedded_dremio.facts["put_files"](lake_)
    made(physical_dataset, embedded_dremio, {"path": path, "format": {"type": "Parquet"}})
    gold = made(space, embedded_dremio, {"name": unique("gold")})
    query = f"SELECT id FROM {lake_}.handlers.orders"
    made(view, embedded_dremio, {"path": [gold, "one"], "sql": query})
    short = {"path": [gold, "two"], "sql": "SELECT id FROM one", "sqlContext": [gold]}
    made(view, embedded_dremio, short)
    client = embedded_dremio.client
    with pytest.raises(InputError, match=f"is read by {gold}.one, which"):
        physical_dataset.delete(client, ".".join(path), {})
    with pytest.raises(InputError, match=f"is read by {gold}.two, which"):
        view.delete(client, f"{gold}.one", {})
    old = source.normalize({"name": lake_, "type": "S3", "config": config})
    elsewhere = source.normalize({**old, "config": {**config, "rootPath": "/handlers"}})
    with pytest.raises(InputError, match=rf"drop all datasets.*: {lake_}.handlers.orders;"):
        source.update(client, lake_, old, elsewhere)
    view.delete(client, f"{gold}.two", {})
    view.delete(client, f"{gold}.one", {})
    physical_dataset.delete(client, ".".join(path), {})
    assert client.by_path(path)["entityType"] == "folder"


@pytest.mark.service
def test_the_embedded_engine_has_users_but_grants_nothing(embedded_dremio):
    client = embedded_dremio.client
    spec = user.normalize({"name": unique("ann"), "password": "of-ann-123", "firstName": "Ann"})
    assert user.create(client, spec).inputs == spec == user.read(client, spec["name"], spec).inputs
    changed = {**spec, "password": "of-ann-456", "email": "ann@x.invalid"}
    user.update(client, spec["name"], spec, changed)
    login = {"userName": spec["name"], "password": "of-ann-456"}
    client.anonymous.require("POST", "/apiv2/login", login)
    gold = made(space, embedded_dremio, {"name": unique("gold")})
    given = {"granteeType": "USER", "name": spec["name"], "privileges": ["SELECT"]}
    with pytest.raises(EditionError, match="nothing can be granted"):
        made(grant, embedded_dremio, {"path": [gold], "grants": [given]})
    with pytest.raises(EditionError, match="Community edition"):
        made(role, embedded_dremio, {"name": "readers"})
    user.delete(client, spec["name"], changed)
    with pytest.raises(ApiError) as raised:
        client.anonymous.require("POST", "/apiv2/login", login)
    assert raised.value.status == 401
