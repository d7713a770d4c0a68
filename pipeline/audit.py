"""The audit log: what users asked and did, in one index of Elasticsearch per day.

Collected from the histories that the products keep themselves: queries from Dremio's
`sys.jobs_recent`, user actions from Superset's `GET /api/v1/log/`, jobs from Airbyte's
`GET /jobs`. There they can be read by the product's administrators alone, and end when it likes.

A document has `@timestamp` (of its end), `service`, `id` (the product's own), `action` and, as far
as the product tells them, `actor`, `object`, `outcome` and `statement`. Its `_id` follows from
service and id and it is only ever created: what is collected again changes nothing.

Statements come without the values in them: these may be personal data or credentials, and an
audit log is read by more people than the data is. Texts of errors and the bodies of requests can
hold the same, so they stay with the product, where `id` finds them.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import httpx
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dynamic_providers.superset.client import API, PAGE, SupersetClient
from pipeline import clients
from pipeline.config import Config, LogsConfig, secret
from pipeline.exporters import JOBS, SYNC_ENDED

INDICES = "audit-*"
INTERVAL_S = 900.0
RETRY_S = 60.0
# How far back is collected again: a product may tell late what ended before.
AGAIN = timedelta(minutes=10)
TIMEOUT_S = 30.0
BULK = 500  # documents
MOST_CHARACTERS = 10_000  # of a statement
MOST_OF_PATH = 256

# Not a filter by words in the query, which would let everybody hide theirs.
_QUERIES = """
    SELECT job_id, status, query_type, user_name, queried_datasets, query,
        final_state_epoch_millis
    FROM sys.jobs_recent
    WHERE final_state_epoch_millis >= {since}
"""
# One scan in the order of the text: a quote in a comment begins nothing, nor the other way round.
# What is not closed goes on to the end.
_TOKEN = re.compile(
    r"""(?P<comment> (?: -- | // ) [^\n]* | /\* .*? (?: \*/ | \Z ) )
      | (?P<name> " (?: [^"] | "" )* (?: " | \Z ) )
      | (?P<value> ' (?: [^'] | '' )* (?: ' | \Z ) | (?<![\w$.]) \.? \d [\w.]* )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Document:
    ended: datetime
    service: str
    id: str
    action: str
    actor: str | None = None
    object: str | list[str] | None = None
    outcome: str | None = None
    statement: str | None = None

    def source(self) -> dict[str, Any]:
        told = {k: v for k, v in asdict(self).items() if k != "ended" and v}
        return {"@timestamp": self.ended.isoformat(), **told}


def redact(sql: str) -> str:
    """The statement with `?` for each value, without comments, on one line."""

    def shown(token: re.Match[str]) -> str:
        return {"comment": " ", "value": "?"}.get(token.lastgroup or "", token[0])

    return " ".join(_TOKEN.sub(shown, sql).split())[:MOST_CHARACTERS]


def collect(config: Config, service: str, now: datetime) -> int:
    """Adds what a service tells and the log does not hold yet. Returns how many documents.

    Raises what the service's client or Elasticsearch's raises."""
    if config.audit is None:
        return 0
    with closing(AuditIndex(config.audit)) as index:
        since = now - timedelta(days=config.audit.retention_days)
        if (newest := index.newest(service)) is not None:
            since = max(since, newest - AGAIN)
        return index.add(SOURCES[service](config, since))


def services(config: Config) -> tuple[str, ...]:
    """From which an audit log is collected."""
    if config.audit is None:
        return ()
    return tuple(name for name in SOURCES if name != "superset" or config.superset is not None)


def query_documents(rows: Iterable[Mapping[str, Any]], own_user: str) -> Iterator[Document]:
    """Without the two statements by which the pipeline watches the queries every few seconds:
    nine in ten documents would be they."""
    watching = {redact(sql.format(since=0)) for sql in (JOBS, _QUERIES)}
    for row in rows:
        statement = redact(str(row["query"] or ""))
        if row["user_name"] == own_user and statement in watching:
            continue
        yield Document(
            ended=datetime.fromtimestamp(int(row["final_state_epoch_millis"]) / 1000, UTC),
            service="dremio",
            id=str(row["job_id"]),
            actor=row["user_name"] or None,
            action=str(row["query_type"]),
            object=_datasets(row["queried_datasets"]),
            outcome=str(row["status"]).lower(),
            statement=statement,
        )


def action_documents(page: Mapping[str, Any]) -> Iterator[Document]:
    """page: an answer of Superset's log: the ids are apart, and times, in UTC, name no zone."""
    for id_, entry in zip(page["ids"], page["result"], strict=True):
        yield Document(
            ended=datetime.fromisoformat(entry["dttm"]).replace(tzinfo=UTC),
            service="superset",
            id=str(id_),
            actor=(entry.get("user") or {}).get("username"),  # nobody has logged in
            action=str(entry["action"]),
            object=_seen(entry),
        )


def job_documents(
    jobs: Iterable[Mapping[str, Any]], connections: Mapping[str, str]
) -> Iterator[Document]:
    """Of jobs that have ended; who started one, Airbyte does not tell. connections: id -> name."""
    for job in jobs:
        if job["status"] in SYNC_ENDED and job.get("lastUpdatedAt"):
            connection = str(job["connectionId"])
            yield Document(
                ended=datetime.fromisoformat(job["lastUpdatedAt"]),
                service="airbyte",
                id=str(job["jobId"]),
                action=str(job["jobType"]),
                object=connections.get(connection, connection),
                outcome=str(job["status"]),
            )


def _datasets(told: Any) -> Any:
    """Each by itself, so that all queries of one are found, also where a list is told as text."""
    try:
        return json.loads(told) if isinstance(told, str) else told
    except ValueError:
        return told


def _seen(entry: Mapping[str, Any]) -> str | None:
    """What an action was about: a dashboard, a chart, or the path of the call."""
    for kind, field in (("dashboard", "dashboard_id"), ("chart", "slice_id")):
        if entry.get(field):
            return f"{kind} {entry[field]}"
    try:
        told = json.loads(entry.get("json") or "{}")
    except ValueError:
        return None
    path = told.get("path") if isinstance(told, dict) else None
    return path.partition("?")[0][:MOST_OF_PATH] if isinstance(path, str) else None


def _queries(config: Config, since: datetime) -> Iterator[Document]:
    with closing(clients.dremio(config.dremio)) as client:
        rows = client.rows(_QUERIES.format(since=int(since.timestamp() * 1000)))
        yield from query_documents(rows, config.dremio.username)


def actions(client: SupersetClient, since: datetime) -> Iterator[Document]:
    """The newest first, page by page, and no filter: Superset would mix it up with the filters of
    others (SupersetClient). What is added meanwhile moves the rest on, so nothing is left out."""
    number = 0
    while True:
        query = f"(order_column:dttm,order_direction:desc,page:{number},page_size:{PAGE})"
        page = client.api.require("GET", f"{API}/log/", params={"q": query})
        documents = list(action_documents(page))
        yield from (one for one in documents if one.ended >= since)
        if not documents or documents[-1].ended < since:
            return
        number += 1


def _actions(config: Config, since: datetime) -> Iterator[Document]:
    if config.superset is None:
        return
    user, password = config.superset.username, secret(config.superset.password_file)
    with closing(SupersetClient(config.superset.url, password, user=user)) as client:
        yield from actions(client, since)


def _jobs(config: Config, since: datetime) -> Iterator[Document]:
    with closing(clients.airbyte(config.airbyte)) as client:
        names = {str(c["connectionId"]): str(c["name"]) for c in client.every("/connections", {})}
        # whole seconds, as its API documents them
        started = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield from job_documents(client.every("/jobs", {"updatedAtStart": started}), names)


SOURCES: Mapping[str, Callable[[Config, datetime], Iterator[Document]]] = {
    "airbyte": _jobs,
    "dremio": _queries,
    "superset": _actions,
}


class AuditIndex:
    """The indices, one per day, as a user who may create documents and read them, no more."""

    def __init__(self, config: LogsConfig) -> None:
        self._http = httpx.Client(
            base_url=config.url,
            auth=(config.username, secret(config.password_file)),
            timeout=TIMEOUT_S,
        )

    def newest(self, service: str) -> datetime | None:
        """The end of what was collected last from a service."""
        wanted = {
            "size": 0,
            "query": {"term": {"service": service}},
            "aggs": {"newest": {"max": {"field": "@timestamp"}}},
        }
        answer = self._http.post(f"/{INDICES}/_search", json=wanted).raise_for_status().json()
        found = answer.get("aggregations", {}).get("newest", {}).get("value")
        return None if found is None else datetime.fromtimestamp(found / 1000, UTC)

    def add(self, documents: Iterable[Document]) -> int:
        """How many are new. Raises RuntimeError if one is refused."""
        waiting = list(documents)
        return sum(self._add(waiting[at : at + BULK]) for at in range(0, len(waiting), BULK))

    def _add(self, documents: Sequence[Document]) -> int:
        lines: list[dict[str, Any]] = []
        for one in documents:
            index = f"audit-{one.ended.astimezone(UTC):%Y.%m.%d}"
            lines.append({"create": {"_index": index, "_id": f"{one.service}-{one.id}"}})
            lines.append(one.source())
        answer = self._http.post(
            "/_bulk",
            content="".join(json.dumps(line) + "\n" for line in lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        results = [item["create"] for item in answer.raise_for_status().json()["items"]]
        for result in results:
            if result["status"] not in (201, 409):  # 409: it is there already
                raise RuntimeError(f"elasticsearch: {result['error']['type']}")
        return sum(result["status"] == 201 for result in results)

    def close(self) -> None:
        self._http.close()


class AuditLog(Collector):
    """Collects every quarter of an hour, and tells as a metric when that last went well."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stopping = Event()
        # From its start on: a service that is started anew is not late yet.
        self._done = dict.fromkeys(services(config), datetime.now(UTC))

    def start(self) -> None:
        # A daemon: what breaks off is collected by the next one.
        Thread(target=self._work, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "audit_last_collection_timestamp_seconds",
            "When the audit log of a service was last collected",
            labels=("service",),
        )
        for service, done in self._done.items():
            gauge.add_metric((service,), done.timestamp())
        yield gauge

    def _work(self) -> None:
        while self._done and not self._stopping.wait(
            INTERVAL_S if self.collect_all() else RETRY_S
        ):
            pass

    def collect_all(self) -> bool:
        """From each service, whatever becomes of the others. Whether all went well."""
        good = True
        for service in self._done:
            now = datetime.now(UTC)
            try:
                collect(self._config, service, now)
            except Exception as fault:  # of any kind: without the thread there is no audit log
                good = False
                print(f"audit log of {service}: {fault}", file=sys.stderr, flush=True)
            else:
                self._done[service] = now
        return good
