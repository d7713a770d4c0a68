"""Repository of snapshots. id: `<cluster uuid>/<name>`.

https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-snapshot-create-repository
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.elasticstack.named import Named, from_api, to_api
from plugins.kind import Fields

if TYPE_CHECKING:
    from plugins.elasticstack.client import SearchClient

# Where the official plugin sets a default, so does this one: both give the same plan.
BYTES_PER_SECOND = "40mb"
MOST_SNAPSHOTS = 500
CANNED_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "log-delivery-write",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
STORAGE_CLASSES = (
    "standard",
    "reduced_redundancy",
    "standard_ia",
    "onezone_ia",
    "intelligent_tiering",
)


class SnapshotRepository(Named):
    """Deleting it leaves the snapshots where they are."""

    KIND = "elasticstack/SnapshotRepository"
    PLACE = ("_snapshot",)

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.flag("verify", True)
        given = [kind for kind, read in TYPES.items() if fields.nested(kind, read) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "neither"
            raise InputError("s3", f"expected either {' or '.join(TYPES)}, got {found}")
        return fields.done()

    def read(self, client: "SearchClient", id_: str, known: Props) -> Live | None:
        name, live = self.live(client, id_)
        if live is None:
            return None
        found: Props = {
            "name": name,
            "verify": known.get("verify", True),  # is of the call, and nowhere kept
            live["type"]: from_api(live["settings"]),
        }
        return Live(id=client.whole(id_), inputs=self.seen(found))

    def update(self, client: "SearchClient", id_: str, old: Props, spec: Props) -> Live:
        (kind,) = TYPES.keys() & spec.keys()
        body = {"type": kind, "settings": to_api(spec[kind])}
        client.send("PUT", self.path(spec["name"]), body, verify=spec["verify"])
        return Live(id=id_, inputs=spec)


def _file_system(fields: Fields) -> None:
    fields.text("location", required=True)
    _common(fields)
    fields.integer("maxNumberOfSnapshots", MOST_SNAPSHOTS, least=1)


def _s3(fields: Fields) -> None:
    fields.text("bucket", required=True)
    fields.text("client", "default")
    fields.text("basePath")
    _common(fields)
    fields.text("bufferSize")
    fields.text("cannedAcl", "private", among=CANNED_ACLS)
    fields.text("storageClass", "standard", among=STORAGE_CLASSES)
    fields.flag("serverSideEncryption", False)


def _common(fields: Fields) -> None:
    fields.text("chunkSize")
    fields.flag("compress", True)
    fields.text("maxSnapshotBytesPerSec", BYTES_PER_SECOND)
    fields.text("maxRestoreBytesPerSec")
    fields.flag("readonly", False)


TYPES: Mapping[str, Callable[[Fields], None]] = {"fs": _file_system, "s3": _s3}
