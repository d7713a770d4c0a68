"""The vendors' own downloads: whether they can be reached from here, and fetching them."""

import functools
import hashlib
import threading
from pathlib import Path

import httpx

from tools.step import StepError

# Pulumi's CLI and all plugins that we use are published as releases there.
RELEASES = "https://github.com"
REACH_S = 4.0  # a reachable host answers well within; an unreachable one must not hold us up
READ_S = 60.0  # without a byte from a server that has answered


@functools.cache
def reachable(base_url: str) -> bool:
    """Whether the host answers over HTTP within REACH_S. Asked once per process.

    In a thread: a look-up of a name has no time-out of its own.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            httpx.head(base_url, timeout=REACH_S)
        except httpx.HTTPError:
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REACH_S)
    return answered.is_set()


def download(url: str, target: Path, *, sha256: str) -> None:
    """Raises StepError when it cannot be fetched or its content is another one."""
    total = hashlib.sha256()
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=READ_S) as response:
            response.raise_for_status()
            with target.open("wb") as out:
                for chunk in response.iter_bytes():
                    total.update(chunk)
                    out.write(chunk)
    except httpx.HTTPError as error:
        raise StepError(f"{url}: {error}") from error
    if total.hexdigest() != sha256:
        raise StepError(f"{url}: sha256 {total.hexdigest()}, expected {sha256}")


def published_sha256(list_url: str, name: str) -> str:
    """The hash of `name` in a vendor's list of checksums, as sha256sum writes it."""
    try:
        response = httpx.get(list_url, follow_redirects=True, timeout=READ_S)
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise StepError(f"{list_url}: {error}") from error
    for line in response.text.splitlines():
        match line.split():
            case [hash_, file] if file.lstrip("*") == name:
                return hash_
    raise StepError(f"{list_url}: no line for {name}")
