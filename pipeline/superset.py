"""Fills the cache of dashboards, so that the first visitor of the day does not wait.

https://superset.apache.org/docs/api
"""

import json
from collections.abc import Iterator
from typing import Any

from dynamic_providers.api import ApiClient, ApiError
from dynamic_providers.superset.client import API, BrowserAuth
from pipeline.config import SupersetConfig, secret
from pipeline.progress import Step

QUERY_TIMEOUT_S = 120.0
CONNECT_DEADLINE_S = 5.0  # a Superset that is away is no reason to hold up the run


def warm(config: SupersetConfig, step: Step) -> None:
    """Runs the queries of each chart and keeps their results in Superset's cache.

    What cannot be warmed is told, not raised: the numbers are there, they only load slower.
    """
    password = secret(config.password_file)
    api = ApiClient(
        "superset",
        config.url,
        auth=BrowserAuth(config.url, config.username, password),
        secrets=(password,),
        timeout_s=QUERY_TIMEOUT_S,
        retry_deadline_s=CONNECT_DEADLINE_S,
    )
    charts = skipped = 0
    try:
        for name, query in _queries(api, config):
            if query is None:
                skipped += 1
                step.tell(f"{name}: skipped, it stores no query")
                continue
            # Forced: the cache may hold results from before this run.
            api.require("POST", f"{API}/chart/data", {**query, "force": True})
            charts += 1
    except (ApiError, LookupError) as fault:
        step.tell(f"skipped: {fault}")
        skipped += 1
    finally:
        api.close()
    step.done(f"{charts} charts" + (f", {skipped} skipped" if skipped else ""))


def _queries(
    api: ApiClient, config: SupersetConfig
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Name of each chart, and the query that it stores."""
    for slug in config.dashboards:
        listed = api.send("GET", f"{API}/dashboard/{slug}/charts")
        if listed is None:
            raise LookupError(f"dashboard {slug!r}: not found")
        for entry in listed["result"]:
            chart = api.require("GET", f"{API}/chart/{entry['id']}")["result"]
            stored = chart.get("query_context")
            yield chart["slice_name"], json.loads(stored) if stored else None
