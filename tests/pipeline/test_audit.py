"""The audit log: documents from the products' payloads, and a real Elasticsearch."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.storage.search import AUDIT_INDICES, AUDIT_MAPPINGS
from pipeline import audit
from pipeline.audit import AuditLog, action_documents, job_documents, query_documents, redact
from pipeline.config import LogsConfig
from pipeline.exporters import JOBS
from tests.pipeline.conftest import SECRET
from tests.pipeline.doubles import Dremio, Superset
from tests.support.ports import free_ports

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT a1 FROM t\n  WHERE b = 'it''s' -- of Ann", "SELECT a1 FROM t WHERE b = ?"),
        (
            'SELECT "it\'s 5" FROM "a""b" WHERE c > 1.5e3',
            'SELECT "it\'s 5" FROM "a""b" WHERE c > ?',
        ),
        ("SELECT /* 'x */ 'y' // z", "SELECT ?"),
        ("SELECT '/* x */', d", "SELECT ?, d"),
        ("SELECT 'not closed", "SELECT ?"),
        ("SELECT 1 /* not closed", "SELECT ?"),
        ("", ""),
    ],
)
def test_a_statement_is_kept_without_its_values(sql, shown):
    assert redact(sql) == shown


SECRETS = st.text(st.characters(categories=("L", "N", "P", "S", "Z")), min_size=1).map(
    lambda text: f"5ecret{text}5ecret"
)
NAMES = st.text(st.sampled_from("ab1_ '\"-/*"), max_size=8)


@given(
    st.lists(
        st.one_of(
            SECRETS.map(lambda text: "'" + text.replace("'", "''") + "'"),
            SECRETS.map(lambda text: "/*" + text.replace("*/", "") + "*/"),
            SECRETS.map(lambda text: "--" + text.replace("\n", "") + "\n"),
            st.integers(10**6, 10**9).map(lambda number: f"= {number}5"),
            NAMES.map(lambda name: '"' + name.replace('"', '""') + '"'),
            st.sampled_from(["SELECT", "FROM t", "WHERE a1 = ", ",", "("]),
        )
    )
)
def test_no_value_of_a_statement_is_kept(parts):
    shown = redact(" ".join(parts))
    assert "5ecret" not in shown
    for part in parts:
        if part.startswith("= "):
            assert part.removeprefix("= ") not in shown
        elif part.startswith('"'):  # nothing but values goes
            assert " ".join(part.split()) in shown


def query(id_: str, sql: str = "SELECT 'x' FROM gold.orders", user: str = "ann", ended=NOW):
    return {
        "job_id": id_,
        "status": "COMPLETED",
        "query_type": "FLIGHT",
        "user_name": user,
        "queried_datasets": '["gold.orders"]',
        "query": sql,
        "final_state_epoch_millis": int(ended.timestamp() * 1000),
    }


def test_a_query_tells_who_asked_what():
    [document] = query_documents([query("q1")], "admin")
    assert document.source() == {
        "@timestamp": datetime.fromtimestamp(int(NOW.timestamp() * 1000) / 1000, UTC).isoformat(),
        "service": "dremio",
        "id": "q1",
        "actor": "ann",
        "action": "FLIGHT",
        "object": ["gold.orders"],
        "outcome": "completed",
        "statement": "SELECT ? FROM gold.orders",
    }


@pytest.mark.parametrize(
    ("told", "kept"),
    [(["a", "b"], ["a", "b"]), ('["a"]', ["a"]), ("a.b", "a.b"), ("[]", None), (None, None)],
)
def test_a_query_tells_its_datasets(told, kept):
    [document] = query_documents([query("q1") | {"queried_datasets": told}], "admin")
    assert document.source().get("object") == kept


def test_only_what_the_pipeline_asks_to_watch_is_left_out():
    watching = JOBS.format(since=17)
    listed = [
        query("its own", watching, "admin"),
        query("another's", watching, "ann"),
        query("more", f"{watching} UNION ALL SELECT * FROM gold.orders", "admin"),
        query("named", "SELECT * FROM gold.orders -- sys.jobs_recent", "admin"),
    ]
    found = [document.id for document in query_documents(listed, "admin")]
    assert found == ["another's", "more", "named"]


def action(at: datetime, **more):
    """An entry of the log, as Superset 6.1 answers it."""
    return {
        "action": "DashboardRestApi.get",
        "dashboard_id": None,
        "slice_id": None,
        "dttm": at.replace(tzinfo=None).isoformat(),
        "duration_ms": 12,
        "json": json.dumps({"path": "/api/v1/dashboard/7?q=x", "password": SECRET}),
        "referrer": None,
        "user": {"first_name": "Ann", "last_name": "A", "username": "ann"},
        "user_id": 2,
        **more,
    }


def test_an_action_tells_who_did_what_and_no_body():
    entries = [
        action(NOW),
        action(NOW, dashboard_id=7, user=None),
        action(NOW, slice_id=3),
        action(NOW, json=None),
    ]
    found = list(action_documents({"ids": [4, 5, 6, 8], "result": entries}))
    assert [(d.id, d.actor, d.object) for d in found] == [
        ("4", "ann", "/api/v1/dashboard/7"),
        ("5", None, "dashboard 7"),
        ("6", "ann", "chart 3"),
        ("8", "ann", None),
    ]
    assert {d.ended for d in found} == {NOW}
    assert SECRET not in repr(found)
    assert "actor" not in found[1].source()


def test_jobs_that_have_ended_are_told():
    job = {"jobType": "sync", "connectionId": "c1", "lastUpdatedAt": "2026-11-26T01:05:00Z"}
    jobs = [
        {**job, "jobId": 1, "status": "running"},
        {**job, "jobId": 2, "status": "failed"},
        {**job, "jobId": 3, "status": "succeeded", "connectionId": "deleted"},
    ]
    found = list(job_documents(jobs, {"c1": "postgres"}))
    assert [(d.id, d.action, d.object, d.outcome) for d in found] == [
        ("2", "sync", "postgres", "failed"),
        ("3", "sync", "deleted", "succeeded"),
    ]


class Jobs(Dremio):
    """`sys.jobs_recent` holds `listed`."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[dict] = []

    def _rows(self, number, body):
        since = int(self.sql[int(number)].rpartition(">=")[2])
        rows = [row for row in self.listed if row["final_state_epoch_millis"] >= since]
        return 200, {"rowCount": len(rows), "rows": rows}


class Log(Superset):
    """The log, newest first, 100 at a time; what is asked for goes into it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = [action(NOW - n * MINUTE) for n in range(150, 0, -1)]

    def routes(self):
        return {**super().routes(), "GET /api/v1/log/": self._log}

    def _log(self, parameters):
        query = parameters["q"]
        assert query.startswith("(order_column:dttm,order_direction:desc,page:")
        assert query.endswith(",page_size:100)")
        number = int(query.split("page:")[1].split(",")[0])
        shown = list(enumerate(self.entries, 1))[::-1][100 * number :][:100]
        self.entries.append(action(NOW, action="LogRestApi.get_list"))
        return 200, {
            "count": len(self.entries),
            "ids": [id_ for id_, _ in shown],
            "result": [entry for _, entry in shown],
        }


@pytest.fixture
def index(elasticsearch_server, tmp_path):
    """An empty audit log: its settings, and a client of Elasticsearch."""
    server, file = elasticsearch_server, tmp_path / "search-password"
    file.write_text(server.password)
    template = {"index_patterns": [AUDIT_INDICES], "template": {"mappings": AUDIT_MAPPINGS}}
    with httpx.Client(
        base_url=server.url, auth=(server.user, server.password), timeout=60
    ) as client:
        client.put("/_index_template/audit", json=template).raise_for_status()
        empty(client)  # other tests collect too
        yield (
            LogsConfig(
                url=server.url, username=server.user, password_file=file, retention_days=90
            ),
            client,
        )
        empty(client)


def empty(client: httpx.Client) -> None:
    for one in client.get("/_cat/indices/audit-*?format=json").raise_for_status().json():
        client.delete(f"/{one['index']}").raise_for_status()


def found(client: httpx.Client, **terms: str) -> list[dict]:
    client.post("/audit-*/_refresh").raise_for_status()
    wanted = [{"term": {field: value}} for field, value in terms.items()]
    body = {"size": 1000, "query": {"bool": {"filter": wanted}}}
    hits = client.post("/audit-*/_search", json=body).raise_for_status().json()["hits"]["hits"]
    return [hit["_source"] | {"_index": hit["_index"]} for hit in hits]


@pytest.mark.service
def test_what_is_collected_again_adds_nothing(whole, index):
    settings, client = index
    yesterday = NOW - timedelta(days=1)
    with Jobs().running() as dremio, Log().running() as superset:
        dremio.listed = [
            query("q1", ended=yesterday),
            query("old", ended=NOW - 91 * 24 * 60 * MINUTE),
        ]
        config = dataclasses.replace(
            whole,
            audit=settings,
            dremio=dataclasses.replace(whole.dremio, url=dremio.url),
            superset=dataclasses.replace(whole.superset, url=superset.url),
        )
        assert audit.collect(config, "dremio", NOW) == 1
        assert audit.collect(config, "superset", NOW) == 150
        [stored] = found(client, service="dremio", actor="ann")
        assert stored["_index"] == f"audit-{yesterday:%Y.%m.%d}"
        assert len(found(client, service="superset", action="DashboardRestApi.get")) == 150

        dremio.listed.append(query("q2"))
        dremio.listed.append(query("late", ended=yesterday - 5 * MINUTE))
        assert audit.collect(config, "dremio", NOW) == 2
        assert audit.collect(config, "superset", NOW) > 0  # that it was read
        assert len(superset.asked("GET", "/api/v1/log/")) == 4  # three pages, and one
        assert len(found(client, service="dremio")) == 3
        assert len(found(client, service="superset", action="DashboardRestApi.get")) == 150


@pytest.mark.service
def test_a_document_that_is_refused_is_told(index):
    settings, _ = index
    [document] = query_documents([query("x" * 600)], "admin")  # an _id holds 512 bytes
    adding = audit.AuditIndex(settings)
    with pytest.raises((RuntimeError, httpx.HTTPStatusError)):
        adding.add([document])
    adding.close()


def test_a_collection_that_fails_is_told_and_is_not_counted(whole, tmp_path, capsys):
    file = tmp_path / "search-password"
    file.write_text(SECRET)
    nowhere = LogsConfig(
        url=f"http://127.0.0.1:{free_ports(1)[0]}",
        username="u",
        password_file=file,
        retention_days=90,
    )
    log = AuditLog(dataclasses.replace(whole, audit=nowhere))
    [before] = log.collect()
    assert {sample.labels["service"] for sample in before.samples} == {
        "airbyte",
        "dremio",
        "superset",
    }
    assert not log.collect_all()
    [after] = log.collect()
    assert after == before
    told = capsys.readouterr().err
    assert told.count("audit log of ") == 3
    assert "audit log of dremio: " in told
    assert SECRET not in told


def test_without_elasticsearch_nothing_is_collected(whole):
    log = AuditLog(whole)
    assert log.collect_all()
    [gauge] = log.collect()
    assert not gauge.samples
