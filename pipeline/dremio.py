"""Work in Dremio: metadata of new files, and reflections."""

import time
from collections.abc import Sequence
from typing import Any

from dynamic_providers.api import ApiError
from dynamic_providers.dremio.client import JOB_FINAL, DremioClient
from dynamic_providers.waiting import WorkFailedError, wait_for
from pipeline.progress import Step, StepError

METADATA_TIMEOUT_S = 600.0
REFLECTION_TIMEOUT_S = 1800.0  # specification, "Performance Benchmarks": large dataset, 30 minutes
# A refresh that finds nothing new ends without a new fetch: after this long without one running,
# what is there counts as current.
REFRESH_START_S = 15.0
FAULTS = (ApiError, WorkFailedError, OSError)
START_AGAIN = "Repair the cause and run the pipeline again: every step may be repeated."


def quoted(path: Sequence[str]) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in path)


def execute(client: DremioClient, sql: str, timeout_s: float) -> None:
    """Raises WorkFailedError, TimeoutError, ApiError."""
    job = client.require("POST", "/sql", {"sql": sql})["id"]

    def ended() -> dict[str, Any] | None:
        status: dict[str, Any] = client.require("GET", f"/job/{job}")
        return status if status["jobState"] in JOB_FINAL else None

    status = wait_for(ended, timeout_s, f"job {job}")
    if status["jobState"] != "COMPLETED":
        raise WorkFailedError(str(status.get("errorMessage") or status["jobState"]))


def refresh_metadata(client: DremioClient, datasets: Sequence[Sequence[str]], step: Step) -> None:
    """Makes the files of the last sync part of their datasets. Raises StepError."""
    for path in datasets:
        try:
            execute(client, f"ALTER TABLE {quoted(path)} REFRESH METADATA", METADATA_TIMEOUT_S)
        except FAULTS as fault:
            raise StepError(f"metadata of {'.'.join(path)}: {fault}", START_AGAIN) from None
    step.done(f"{len(datasets)} datasets")


def refresh_reflections(
    client: DremioClient, datasets: Sequence[Sequence[str]], step: Step
) -> None:
    """Refreshes the reflections of `datasets`; returns when queries can use them.

    Raises StepError.
    """
    try:
        before = {tuple(path): _reflections(client, path) for path in datasets}
        for path, reflections in before.items():
            if reflections:
                _request_refresh(client, path)
        requested = time.monotonic()
        for path, reflections in before.items():
            for known in reflections:
                wait_for(
                    lambda known=known: _refreshed(client, known, requested),  # type: ignore[misc]
                    REFLECTION_TIMEOUT_S,
                    f"reflection {known['name']}",
                )
                step.tell(f"{known['name']} on {'.'.join(path)}: available")
    except FAULTS as fault:
        raise StepError(f"reflections: {fault}", START_AGAIN) from None
    step.done(f"{sum(len(found) for found in before.values())} reflections")


def _reflections(client: DremioClient, path: Sequence[str]) -> list[dict[str, Any]]:
    """The enabled reflections of a dataset."""
    dataset = client.by_path(path)
    if dataset is None:
        raise WorkFailedError(f"dataset {'.'.join(path)}: not found")
    listed = client.send("GET", f"/dataset/{dataset['id']}/reflection") or {}
    return [found for found in listed.get("data") or [] if found["enabled"]]


def _request_refresh(client: DremioClient, path: Sequence[str]) -> None:
    dataset = client.by_path(path)
    if dataset is not None and dataset["type"] == "PHYSICAL_DATASET":
        client.require("POST", f"/catalog/{dataset['id']}/refresh")
    else:  # that call is for tables only
        execute(client, f"ALTER VIEW {quoted(path)} REFRESH REFLECTIONS", METADATA_TIMEOUT_S)


def _refreshed(client: DremioClient, known: dict[str, Any], requested: float) -> bool | None:
    live = client.require("GET", f"/reflection/{known['id']}")
    status = live["status"]
    if status.get("refresh") == "GIVEN_UP" or status.get("combinedStatus") in (
        "FAILED",
        "INVALID",
    ):
        raise WorkFailedError(f"reflection {known['name']}: {status.get('combinedStatus')}")
    if status.get("availability") != "AVAILABLE" or status.get("refresh") in (
        "PENDING",
        "RUNNING",
    ):
        return None
    fetched = status.get("lastDataFetch") != known["status"].get("lastDataFetch")
    return True if fetched or time.monotonic() - requested > REFRESH_START_S else None
