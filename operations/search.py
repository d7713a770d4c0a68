"""The documents of Elasticsearch: those of all indices that are not its own.

Read and written through the API, so that the target may be another cluster or version; the
templates and users are resources of the stack.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from operations.archive import SEALED, BackupError
from operations.sealed import Keys, sealing, unsealing

FILE = f"search{SEALED}"
PAGE = 1000
PIT = "5m"  # how long Elasticsearch keeps a point in time between two pages


def save(api: httpx.Client, folder: Path, keys: Keys) -> dict[str, int]:
    """What it holds: index -> documents."""
    counts: dict[str, int] = {}
    with (
        sealing(folder / FILE, keys) as sealed,
        gzip.GzipFile(fileobj=cast(BinaryIO, sealed), mode="wb") as out,
    ):
        for hit in _documents(api):
            action = {"index": {"_index": hit["_index"], "_id": hit["_id"]}}
            for line in (action, hit["_source"]):
                out.write(json.dumps(line).encode() + b"\n")
            counts[hit["_index"]] = counts.get(hit["_index"], 0) + 1
    return counts


def load(api: httpx.Client, folder: Path, keys: Keys) -> dict[str, int]:
    """Index -> documents of it that are there now. One that is there already is replaced."""
    indices = set()
    with (
        unsealing(folder / FILE, keys) as sealed,
        gzip.GzipFile(fileobj=cast(BinaryIO, sealed), mode="rb") as plain,
    ):
        while lines := list(islice(plain, 2 * PAGE)):
            done = _call(api, "POST", "/_bulk", content=b"".join(lines))
            if done["errors"]:
                [first, *_] = [i["index"] for i in done["items"] if "error" in i["index"]]
                raise BackupError(f"elasticsearch: {first['_index']}: {first['error']['reason']}")
            indices |= {item["index"]["_index"] for item in done["items"]}
    if indices:
        _call(api, "POST", "/_refresh")
    return {index: int(_call(api, "GET", f"/{index}/_count")["count"]) for index in indices}


def _documents(api: httpx.Client) -> Iterator[Mapping[str, Any]]:
    pit = _call(api, "POST", f"/*/_pit?keep_alive={PIT}&ignore_unavailable=true")["id"]
    query: dict[str, Any] = {"size": PAGE, "sort": ["_shard_doc"], "track_total_hits": False}
    try:
        while True:
            body = {**query, "pit": {"id": pit, "keep_alive": PIT}}
            page = _call(api, "POST", "/_search", json=body)
            hits = page["hits"]["hits"]
            if not hits:
                return
            yield from hits
            pit, query["search_after"] = page["pit_id"], hits[-1]["sort"]
    finally:
        _call(api, "DELETE", "/_pit", json={"id": pit})


def _call(api: httpx.Client, method: str, path: str, **body: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/x-ndjson"} if "content" in body else {}
    try:
        answer = api.request(method, path, headers=headers, **body)
    except httpx.TransportError as fault:
        raise BackupError(f"elasticsearch: {method} {path}: {fault}") from None
    if not answer.is_success:
        raise BackupError(
            f"elasticsearch: {method} {path}: {answer.status_code}: {answer.text[:500]}"
        )
    found: dict[str, Any] = answer.json()
    return found
