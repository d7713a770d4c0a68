"""Deletes logs of syncs, and of what users did, that are older than the stack keeps them.

Their indices are named by day (specification, "Elasticsearch Document Storage"), so each goes as
a whole. Only where Elasticsearch does not do so itself: the distribution that runs on one machine
has no life cycles.
"""

import re
from datetime import date, timedelta

import httpx

from dynamic_providers.api import ApiClient, ApiError
from pipeline import audit
from pipeline.config import LogsConfig, secret
from pipeline.progress import Step

INDICES = ("airbyte-logs-*", audit.INDICES)
INDEX = re.compile(r"(?:airbyte-logs|audit)-(\d{4})\.(\d\d)\.(\d\d)")
CONNECT_DEADLINE_S = 5.0  # an Elasticsearch that is away is no reason to hold up the run


def delete_expired(config: LogsConfig, today: date, step: Step) -> None:
    """Deletes the indices of days before `retention_days` ago.

    What cannot be deleted is told, not raised: the next run tries again.
    """
    password = secret(config.password_file)
    api = ApiClient(
        "elasticsearch",
        config.url,
        auth=httpx.BasicAuth(config.username, password),
        secrets=(password,),
        retry_deadline_s=CONNECT_DEADLINE_S,
    )
    first_kept = today - timedelta(days=config.retention_days)
    deleted = 0
    try:
        listed = api.require("GET", f"/_resolve/index/{','.join(INDICES)}")["indices"]
        names = [index["name"] for index in listed]
        for name in names:
            if (day := day_of(name)) is not None and day < first_kept:
                api.send("DELETE", f"/{name}")  # gone already: another run was faster
                deleted += 1
    except ApiError as fault:
        step.done(f"{deleted} days deleted; skipped: {fault}")
        return
    step.done(f"{deleted} days deleted, {len(names) - deleted} kept")


def day_of(index: str) -> date | None:
    """The day in the index's name; None where it names none."""
    match = INDEX.fullmatch(index)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
