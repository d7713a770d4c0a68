"""One sync of a connection: run when the resource is created and when `triggers` change.

It gives the first `pulumi up` data to promote, model and show; the schedule syncs later ones.
https://reference.airbyte.com/reference/createjob
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.airbyte.connection import alive
from dynamic_providers.api import ApiError
from dynamic_providers.handler import Live, Props
from dynamic_providers.waiting import WorkFailedError, wait_for

KIND: Final = "airbyte/Sync"
REPLACE_ON = frozenset({"connectionId"})
SECRETS: frozenset[str] = frozenset()
# None: the number of a job changes with each scheduled sync, which would show as drift.
COMPUTED: frozenset[str] = frozenset()

TIMEOUT_S = 3600  # specification, "Ingestion Optimization": timeout_minutes 60
ENDED = frozenset({"failed", "succeeded", "cancelled"})


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {
        "triggers": {},
        "timeoutS": TIMEOUT_S,
        **inputs.known_keys(raw, ("connectionId",), ("triggers", "timeoutS")),
    }
    inputs.text(spec["connectionId"], "connectionId")
    inputs.mapping(spec["triggers"], "triggers")
    inputs.whole(spec["timeoutS"], "timeoutS", least=1)
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["connectionId"])


def create(client: AirbyteClient, spec: Props) -> Live:
    connection = spec["connectionId"]
    job = _start_or_join(client, connection)
    status = wait_for(
        lambda: _end(client, job), spec["timeoutS"], f"job {job} of connection {connection}"
    )
    if status != "succeeded":
        raise WorkFailedError(f"job {job} {status}: {_failure(client, job)}")
    return Live(id=connection, inputs=spec)


def read(client: AirbyteClient, id_: str, known: Props) -> Live | None:
    if alive(client, id_) is None:
        return None
    return Live(id=id_, inputs=normalize({**known, "connectionId": id_}))


def update(client: AirbyteClient, id_: str, old: Props, spec: Props) -> Live:
    if old.get("triggers") == spec["triggers"]:
        return Live(id=id_, inputs=spec)
    return create(client, spec)


def delete(client: AirbyteClient, id_: str, known: Props) -> None:
    """Nothing: a sync that has been cannot be undone."""


def _start_or_join(client: AirbyteClient, connection: str) -> int:
    """Number of a new job, or of the one that runs already."""
    try:
        job = client.require("POST", "/jobs", {"connectionId": connection, "jobType": "sync"})
        return int(job["jobId"])
    except ApiError as error:
        if error.status != 409:
            raise
        jobs = client.every("/jobs", {"connectionId": connection, "jobType": "sync"})
        running = [int(job["jobId"]) for job in jobs if job["status"] not in ENDED]
        if not running:  # it ended meanwhile, or the 409 means something else
            raise
        return max(running)


def _end(client: AirbyteClient, job: int) -> str | None:
    status = str(client.require("GET", f"/jobs/{job}")["status"])
    return status if status in ENDED else None


def _failure(client: AirbyteClient, job: int) -> str:
    """Why the last attempt failed. Only the Config API tells."""
    told = client.config("/jobs/get", {"id": job}) or {}
    attempts = [entry.get("attempt", entry) for entry in told.get("attempts") or []]
    failures = ((attempts or [{}])[-1].get("failureSummary") or {}).get("failures") or []
    texts = [f.get("externalMessage") or f.get("internalMessage") for f in failures]
    return client.api.redact("; ".join(text for text in texts if text)) or "see the job's log"
