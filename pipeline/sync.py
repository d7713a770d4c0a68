"""Ingestion: one Airbyte sync per connection, all at the same time."""

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread

from dynamic_providers.airbyte import sync
from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.airbyte.connection import GONE
from dynamic_providers.api import ApiError
from pipeline.progress import Step, StepError


def run(client: AirbyteClient, connections: Sequence[str], step: Step) -> None:
    """Syncs `connections`, given by name. A sync that runs already is waited for instead.

    A failure is told at once, the others go on. Raises StepError at the end if one failed.
    """
    ids = _ids(client, connections)
    outcomes: SimpleQueue[tuple[str, int | Exception]] = SimpleQueue()

    def one(name: str) -> None:
        try:
            outcomes.put((name, _sync(client, ids[name])))
        except Exception as fault:  # of any kind: without an outcome the run would wait forever
            outcomes.put((name, fault))

    for name in connections:
        # Daemons: an interrupted run must not wait for syncs, which go on without it.
        Thread(target=one, args=(name,), daemon=True).start()
    total, failed = 0, []
    for _ in connections:
        name, outcome = outcomes.get()
        if isinstance(outcome, int):
            total += outcome
            step.tell(f"{name}: {outcome:,} rows")
        else:
            failed.append(name)
            step.tell(f"{name}: failed: {outcome}")
    if failed:
        raise StepError(
            f"sync failed for {', '.join(sorted(failed))}",
            "Nothing else was changed. Repair the cause and run the pipeline again: syncs "
            "continue where they stopped.",
        )
    step.done(f"{total:,} rows from {len(connections)} connections")


def _ids(client: AirbyteClient, names: Sequence[str]) -> dict[str, str]:
    try:
        listed = client.every("/connections", {})
        found = {c["name"]: c["connectionId"] for c in listed if c["status"] != GONE}
    except ApiError as fault:
        raise StepError(str(fault), "Is Airbyte running? See `make status`.") from None
    if missing := sorted(set(names) - set(found)):
        known = ", ".join(sorted(found)) or "none"
        raise StepError(
            f"connection {missing[0]!r}: unknown, Airbyte has {known}",
            "Create it with `pulumi up`.",
        )
    return {name: found[name] for name in names}


def _sync(client: AirbyteClient, connection: str) -> int:
    """Number of rows that the sync delivered."""
    sync.create(client, sync.normalize({"connectionId": connection}))
    jobs = client.every("/jobs", {"connectionId": connection, "jobType": "sync"})
    latest = max(jobs, key=lambda job: int(job["jobId"]))
    return int(latest.get("rowsSynced") or 0)
