"""Connector definitions: the ids under which Airbyte's clients know connectors."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

# Of Airbyte's public registry.
KNOWN_IDS = {
    "airbyte/source-postgres": "decd338e-5647-4c0b-adf4-da0e75f5a750",
    "airbyte/source-faker": "dfd88b22-b603-4c3d-aad7-3701784586b1",
    "airbyte/source-file": "778daa7c-feaf-4db6-96f3-70fd645acc77",
    "airbyte/destination-s3": "4816b78f-1489-44c1-9060-4b19d5fa9362",
    "airbyte/destination-elasticsearch": "68f351a7-2745-4bef-ad7f-996b8e51bb8c",
}
NAMES = {"postgres": "Postgres", "faker": "Sample Data", "file": "File", "s3": "S3"}
IMAGE_TAG = "embedded"  # the program is configured, not pulled
SOURCE = "source"
DESTINATION = "destination"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """kind: source or destination. type: `sourceType` in the public API, such as postgres."""

    id: str
    kind: str
    type: str
    name: str
    repository: str

    @property
    def documentation_url(self) -> str:
        return f"https://docs.airbyte.com/integrations/{self.kind}s/{self.type}"


def registry(repositories: Iterable[str]) -> tuple[Definition, ...]:
    """Definitions of the configured connectors. Unknown ones get an id made from the name."""
    return tuple(_definition(repository) for repository in sorted(repositories))


def _definition(repository: str) -> Definition:
    kind, _, type_ = repository.rpartition("/")[2].partition("-")
    return Definition(
        id=KNOWN_IDS.get(repository, str(uuid.uuid5(uuid.NAMESPACE_URL, repository))),
        kind=kind,
        type=type_,
        name=NAMES.get(type_, type_.replace("-", " ").title()),
        repository=repository,
    )


def custom(id_: str, kind: str, name: str, repository: str) -> Definition:
    """A definition that a workspace added. Its program is the configured one of that image."""
    type_ = repository.rpartition("/")[2].removeprefix(f"{kind}-")
    return Definition(id=id_, kind=kind, type=type_, name=name, repository=repository)
