"""SQL and jobs: /api/v3/sql and /api/v3/job."""

import datetime
from decimal import Decimal
from typing import Any

from embedded.dremio.api.call import Call, Reply, rule
from embedded.dremio.catalog.service import field_type
from embedded.dremio.errors import invalid
from embedded.dremio.jobs.service import Job
from embedded.dremio.reflections.model import iso

PAGE_ROWS = 100
MAX_PAGE_ROWS = 500


def _submit(call: Call) -> Reply:
    sql = call.body.get("sql")
    if not isinstance(sql, str) or not sql.strip():
        raise invalid("sql: expected a text")
    context = [str(part) for part in call.body.get("context") or []]
    return Reply({"id": call.engine.jobs.submit(sql, context, call.caller.name)})


def _get(call: Call) -> Reply:
    return Reply(_body(call.engine.jobs.get(call.path[0])))


def _body(job: Job) -> dict[str, Any]:
    body: dict[str, Any] = {
        "jobState": job.state,
        "rowCount": job.rows if job.state == "COMPLETED" else None,
        "errorMessage": job.error,
        "startedAt": iso(job.started),
        "queryType": job.query_type,
        "queueName": "",
        "queueId": "",
        "resourceSchedulingStartedAt": iso(job.started),
        "resourceSchedulingEndedAt": iso(job.started),
        "cancellationReason": job.cancel_reason,
    }
    if job.ended is not None:
        body["endedAt"] = iso(job.ended)
    if job.relationships:
        body["acceleration"] = {
            "reflectionRelationships": [
                {"datasetId": dataset, "reflectionId": reflection, "relationship": level}
                for reflection, (dataset, level) in job.relationships.items()
            ]
        }
    return {key: value for key, value in body.items() if value is not None}


def _results(call: Call) -> Reply:
    offset = call.number("offset", 0, 0, 2**31)
    limit = call.number("limit", PAGE_ROWS, 0, MAX_PAGE_ROWS)
    job = call.engine.jobs.get(call.path[0])
    table = call.engine.jobs.results(job.id, offset, limit)
    return Reply(
        {
            "rowCount": job.rows,
            "schema": [{"name": name, "type": field_type(type_)} for name, type_ in job.columns],
            "rows": [{k: _value(v) for k, v in row.items()} for row in table.to_pylist()],
        }
    )


def _value(value: Any) -> Any:
    """JSON as the product writes it: dates and times are texts."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.strftime("%H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    return value


def _cancel(call: Call) -> Reply:
    call.engine.jobs.cancel(call.path[0])
    return Reply(status=204)


RULES = (
    rule("POST", "/api/v3/sql", _submit),
    rule("GET", "/api/v3/job/*", _get),
    rule("GET", "/api/v3/job/*/results", _results),
    rule("POST", "/api/v3/job/*/cancel", _cancel),
)
