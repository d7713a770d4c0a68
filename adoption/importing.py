"""`dataflow import`: a live system into files that people review and keep.

Writes into the folder: `adoption-<service>.json`, `<service>.md` (the report), and `flow.py`, the
flow of all systems that have been imported into the same folder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from adoption import airbyte, dremio, superset
from adoption.estate import Estate
from adoption.flows import flow_of
from adoption.listing import CONFIG_NAMESPACE, Listing
from adoption.source_text import source_text
from dynamic_providers.airbyte.client import CLIENT_ID, AirbyteClient
from dynamic_providers.api import NO_JSON, ApiError
from dynamic_providers.dremio.client import ADMIN as DREMIO_ADMIN
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.superset.client import ADMIN as SUPERSET_ADMIN
from dynamic_providers.superset.client import SupersetClient

REACH_TIMEOUT_S = 10.0
MANAGED = (
    "The first `up` marks them as managed externally: Superset's pages then offer no editing. "
    "Nothing else of them changes."
)


class ImportFault(Exception):
    """The system cannot be read; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class System:
    """connect: (url, user, password) -> client. login: what user and password are called."""

    user: str
    login: str
    connect: Callable[[str, str, str], Any]
    read: Callable[[Any], Estate]


SYSTEMS: Mapping[str, System] = {
    "airbyte": System(
        user=CLIENT_ID,
        login="client id and client secret of an application",
        connect=lambda url, user, password: AirbyteClient(url, password, client_id=user),
        read=airbyte.read,
    ),
    "dremio": System(
        user=DREMIO_ADMIN,
        login="name and password of an administrator",
        connect=lambda url, user, password: DremioClient(url, password, user=user),
        read=dremio.read,
    ),
    "superset": System(
        user=SUPERSET_ADMIN,
        login="name and password of an administrator",
        connect=lambda url, user, password: SupersetClient(url, password, user=user),
        read=superset.read,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Imported:
    listing: Listing
    files: tuple[Path, ...]
    remarks: tuple[str, ...]


def import_system(service: str, url: str, user: str | None, password: str, to: Path) -> Imported:
    """Reads the system and writes the files. Raises ImportFault before any is written."""
    listing = read_system(service, url, user, password)
    listings = {**_listings(to), service: listing}
    flow, remarks = flow_of(list(listings.values()), "imported")
    texts = {
        f"adoption-{service}.json": listing.to_json(),
        "flow.py": source_text(flow, "Imported: correct what the reports name, then use it."),
        f"{service}.md": report(listing, remarks),
    }
    to.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (to / name).write_text(text)
    return Imported(
        listing=listing, files=tuple(to / name for name in texts), remarks=tuple(remarks)
    )


def read_system(service: str, url: str, user: str | None, password: str) -> Listing:
    """The adoption list of a live system. Changes nothing there. Raises ImportFault."""
    if service not in SYSTEMS:
        raise ImportFault(f"{service!r}: unknown, expected one of {', '.join(SYSTEMS)}")
    address = _address(service, url)
    system = SYSTEMS[service]
    client = system.connect(address, user or system.user, password)
    try:
        return system.read(client).listing(service, address)
    except ApiError as error:
        raise ImportFault(_explained(service, address, user or system.user, error)) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ImportFault(
            f"{address} does not answer as {service} does ({type(error).__name__}: {error}): "
            "see that the URL is the one of its REST API"
        ) from None
    finally:
        client.close()


def _address(service: str, url: str) -> str:
    """`url` without a path, checked to be reachable: the client would try for a minute."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        valid = False
    if not valid:
        raise ImportFault(f"--url: expected http(s)://host:port without a password, not {url!r}")
    address = url.rstrip("/")
    try:
        httpx.get(address, timeout=REACH_TIMEOUT_S)
    except httpx.HTTPError as fault:
        raise ImportFault(
            f"{service}: nothing answers at {address} ({type(fault).__name__}): see that it runs, "
            "and that --url is the address of its REST API"
        ) from None
    return address


def _explained(service: str, address: str, user: str, error: ApiError) -> str:
    if error.status in (401, 403):
        return (
            f"{service} at {address} refuses {user!r} ({error.status}): --user and the password "
            f"are {SYSTEMS[service].login}"
        )
    if error.status == 404:
        return f"{address} is not {service}, or of a version without this call: {error}"
    if error.message == NO_JSON:
        return (
            f"{address} does not answer as {service} does ({NO_JSON}): see that the URL is the "
            "one of its REST API"
        )
    return str(error)


def _listings(folder: Path) -> dict[str, Listing]:
    """The lists of earlier imports into the folder."""
    found = {}
    for path in sorted(folder.glob("adoption-*.json")):
        try:
            listing = Listing.from_json(path.read_text())
        except (KeyError, TypeError, ValueError) as error:
            raise ImportFault(f"{path}: no adoption list ({error}): remove it") from None
        found[listing.service] = listing
    return found


def report(listing: Listing, remarks: list[str]) -> str:
    """What has been read, which secrets are missing, and what cannot be taken over or said."""
    kinds: dict[str, int] = {}
    for adopted in listing.objects:
        kinds[adopted.kind] = kinds.get(adopted.kind, 0) + 1
    own = [text for text in remarks if text.startswith(f"{listing.service}/")]
    marks = [MANAGED] if listing.service == "superset" else []
    parts = [
        f"# Import of {listing.service} at {listing.url}",
        "## Taken over",
        _lines([f"{count} {kind}" for kind, count in sorted(kinds.items())]),
        *marks,
        "## Secrets to set",
        "The system does not tell them. Each goes into the stack's configuration, by standard "
        "input or a prompt, never as an argument:",
        _lines(
            [
                f"`bin/dataflow pulumi config set --secret {CONFIG_NAMESPACE}:{name}`: {place}"
                for name, place in listing.secrets.items()
            ]
        ),
        "## Not taken over",
        _lines([f"{one.kind} {one.key}: {one.reason}" for one in listing.refused]),
        "## Not, or differently, in the flow",
        _lines(own),
    ]
    return "\n\n".join(parts) + "\n"


def _lines(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "Nothing."
