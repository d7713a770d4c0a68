"""Digests of the images in services/images.yaml, as their registries tell them.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.images import DIGEST, FILE, Image, load
from tools.stack import StackError

TIMEOUT_S = 30.0
OWN = re.compile(r"dataflow/")  # built by this project: no registry has them under this name
DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(StackError):
    """A registry gave no digest. The text names the image and the reason."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """digest: what the registry says now."""

    image: Image
    digest: str


def update(programs: Sequence[str], file: Path = FILE) -> Iterator[str]:
    """Writes the digests of these programs, or of all, and says what changed. Raises
    RegistryError; what was found before it is written already."""
    with _client() as client:
        for image in _foreign(programs, file):
            found = look_up(client, image)
            if found.digest != image.digest:
                file.write_text(written(file.read_text(), found))
                yield f"{image.program}: {image.digest or 'no digest'} -> {found.digest}"


def faults(file: Path = FILE) -> Iterator[str]:
    """What is not pinned, cannot be looked up, or has moved: one line each."""
    with _client() as client:
        for image in _foreign([], file):
            try:
                found = look_up(client, image)
            except RegistryError as fault:
                yield str(fault)
                continue
            if not image.digest:
                yield f"{image.program}: has no digest: run `bin/dataflow images update`"
            elif image.digest != found.digest:
                yield f"{image.program}: {image.version} is {found.digest} by now"


def _foreign(programs: Sequence[str], file: Path) -> list[Image]:
    """The images that registries have; the project's own are built. Raises RegistryError for an
    unknown program."""
    known = load(file)
    if unknown := sorted(set(programs) - set(known)):
        raise RegistryError(f"image {unknown[0]!r}: expected one of {', '.join(known)}")
    return [
        image
        for program, image in known.items()
        if not OWN.match(image.repository) and (not programs or program in programs)
    ]


def _client() -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=True)


def look_up(client: httpx.Client, image: Image) -> Found:
    """Raises RegistryError."""
    host, _, name = image.repository.partition("/")
    scheme = "http" if host.startswith(("127.0.0.1:", "localhost:")) else "https"
    api = DOCKER_HUB_API if host == DOCKER_HUB else host
    url = f"{scheme}://{api}/v2/{name}/manifests/{image.version}"
    headers = {"Accept": MANIFESTS}
    where = f"{image.program}: {image.repository}:{image.version}"
    try:
        answer = client.head(url, headers=headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            headers["Authorization"] = f"Bearer {_token(client, answer)}"
            answer = client.head(url, headers=headers)
    except httpx.HTTPError as error:
        raise RegistryError(f"{where}: {error}") from None
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not answer.is_success or not DIGEST.fullmatch(digest):
        raise RegistryError(f"{where}: {url}: status {answer.status_code}, no digest")
    return Found(image=image, digest=digest)


def _token(client: httpx.Client, refusal: httpx.Response) -> str:
    """What registries give to everybody for reading public images."""
    challenge = dict(CHALLENGE.findall(refusal.headers.get("WWW-Authenticate", "")))
    answer = client.get(
        challenge.get("realm", ""),
        params={key: challenge[key] for key in ("service", "scope") if key in challenge},
    )
    answer.raise_for_status()
    content = answer.json()
    return str(content.get("token") or content.get("access_token") or "")


def written(text: str, found: Found) -> str:
    """images.yaml with the digest of one image replaced; comments stay as they are."""
    entry = re.compile(
        rf'(^{re.escape(found.image.program)}:.*?^  digest: )("?[^\n]*)', re.MULTILINE | re.DOTALL
    )
    changed, count = entry.subn(rf"\g<1>{found.digest}", text, count=1)
    if count != 1:
        raise RegistryError(f"{FILE.name}: {found.image.program}: has no line for its digest")
    return changed
