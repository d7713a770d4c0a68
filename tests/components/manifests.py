"""What production declares in its cluster, as text that a reader and `git diff` can follow.

`golden/small.yaml` has all objects of the smallest profile, `golden/<name>.yaml` what another
profile, or a backup store, changes in them. Write them anew after a change that is meant, and
read the difference:

    .venv/bin/python -m tests.components.manifests
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.runtime.catalog import BACKUP_STORE
from components.runtime.kubernetes import ClusterSettings, KubernetesRuntime, Outside
from components.sizing import PROFILES
from tests.support.declaring import backup_store, declared, pinned_images, production

BACKUPS = "backup-store"
STORE_URL, STORE_NETWORK = "https://backups.example.org", "192.0.2.0/24"
GOLDEN = Path(__file__).with_name("golden")
BASE = "small"
CLUSTER = ClusterSettings(
    stack="prod",
    domain="dataflow.example.org",
    gateway_class="envoy",
    issuer="letsencrypt",
    api_server="10.96.0.1/32",
    storage_class="encrypted-retain",
    urls={},
    ca_file=Path(tempfile.gettempdir()) / "dataflow-tests" / "golden" / "ca.crt",
)
FILES = (*PROFILES, BACKUPS)
LINE = 110
LONGEST = 100  # characters of a text that is shown; of others, what it is known by
COMMON_LABELS = "app.kubernetes.io/"  # follow from the name


def rendered(name: str) -> str:
    """The content of a file."""
    objects = manifests(BASE, backups=True) if name == BACKUPS else manifests(name)
    shown = objects if name == BASE else dict(changes(manifests(BASE), objects))
    return yaml.dump(shown, Dumper=_Compact, sort_keys=True, width=120, allow_unicode=True)


class _Compact(yaml.SafeDumper):
    """What fits on a line is on one."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: Any = None) -> yaml.Node:
        return super().represent_sequence(tag, sequence, len(str(sequence)) < LINE)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: Any = None) -> yaml.Node:
        return super().represent_mapping(tag, mapping, len(str(dict(mapping))) < LINE)

    def ignore_aliases(self, data: Any) -> bool:
        return True


@cache
def manifests(profile: str, *, backups: bool = False) -> dict[str, Any]:
    """dict `namespace/Kind/name` -> object, of everything that a profile declares.
    backups: with a backup store."""
    outside = {BACKUP_STORE: Outside(url=STORE_URL, network=STORE_NETWORK)} if backups else {}

    def runtime() -> KubernetesRuntime:
        return KubernetesRuntime(
            "runtime",
            settings=replace(CLUSTER, outside=outside),
            images=pinned_images(),
            sizes=PROFILES[profile],
            keep_data=True,
        )

    made = declared(
        runtime,
        chosen=production(domain=CLUSTER.domain, profile=profile),
        backup_store=backup_store() if backups else None,
    )
    objects = [
        (token.rpartition(":")[2], _plain(inputs))
        for token, inputs in made.values()
        if token.startswith("kubernetes:")
    ]
    return {_place(kind, one): _shortened(kind, one) for kind, one in objects}


def _place(kind: str, one: Mapping[str, Any]) -> str:
    meta = one["metadata"]
    return "/".join(part for part in (meta.get("namespace"), kind, meta["name"]) if part)


def _plain(value: Any) -> Any:
    """As the API server gets it: secrets unwrapped, whole numbers whole."""
    if pulumi.runtime.rpc.is_rpc_secret(value):
        return _plain(value["value"])
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shortened(kind: str, one: dict[str, Any]) -> dict[str, Any]:
    """Without what the key says already, contents of secrets, and long texts."""
    rest = {key: one[key] for key in one if key not in ("apiVersion", "kind", "metadata")}
    meta = {
        key: one["metadata"][key] for key in one["metadata"] if key not in ("name", "namespace")
    }
    if kind == "Secret" and "stringData" in rest:
        rest["stringData"] = sorted(rest["stringData"])
    return _short({"apiVersion": one["apiVersion"], "metadata": meta, **rest})


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _short(item) for key, item in value.items() if COMMON_LABELS not in key}
        if "env" in kept:
            kept["env"] = {entry["name"]: entry["value"] for entry in kept["env"]}
        # Digests of contents, which are shown or known by a digest themselves.
        return {key: kept[key] for key in kept if key != "annotations" or _notes(kept[key])} | (
            {"annotations": notes} if (notes := _notes(kept.get("annotations"))) else {}
        )
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, str) and (len(value) > LONGEST or "\n" in value):
        digest = hashlib.sha256(value.encode()).hexdigest()[:12]
        return f"{len(value.splitlines())} lines, sha256:{digest}"
    return value


def _notes(annotations: Mapping[str, Any] | None) -> dict[str, Any]:
    found = annotations or {}
    return {key: found[key] for key in found if not key.startswith("dataflow/")}


def changes(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Path -> new value, of what differs; None for what is gone."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from changes(old.get(key), new.get(key), f"{place}: {key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from changes(one, other, f"{place}[{number}]")
    elif old != new:
        yield place, new


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in FILES:
        (GOLDEN / f"{name}.yaml").write_text(rendered(name))
