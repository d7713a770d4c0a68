"""Dremio source: a connection to a store, of any type that the server knows.

https://docs.dremio.com/current/reference/api/catalog/source/
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import ApiError, post_once
from dynamic_providers.canonical import only_known_keys, unmasked
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import MASK, DremioClient, entity
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.waiting import WorkFailedError, wait_for

KIND: Final = "dremio/Source"
REPLACE_ON = frozenset({"name", "type"})
SECRETS = frozenset({"config"})  # which of its keys are secret depends on the type
COMPUTED: frozenset[str] = frozenset()

FORBIDDEN = '."@'
READY_TIMEOUT_S = 60.0
POLICY = (
    "metadataPolicy",
    "accelerationRefreshPeriodMs",
    "accelerationGracePeriodMs",
    "accelerationActivePolicyType",
    "accelerationRefreshSchedule",
    "accelerationNeverExpire",
    "accelerationNeverRefresh",
    "allowCrossSourceSelection",
    "disableMetadataValidityCheck",
)
# Left out of a request, the server sets these to false, whatever they were.
EXPLICIT = ("accelerationNeverExpire", "accelerationNeverRefresh")
LEAST_REFRESH_MS = 3_600_000  # the server refuses less than one hour
SETS = ("externalBucketList", "whitelistedBuckets")
PROPERTIES = ("propertyList", "secretPropertyList")
ENDPOINT = "fs.s3a.endpoint"


def minio_config(
    endpoint: Any, access_key: Any, secret_key: Any, buckets: Sequence[Any], *, tls: bool = False
) -> Props:
    """`config` of a source of type S3 on MinIO. endpoint: host:port, without a scheme."""
    return {
        "credentialType": "ACCESS_KEY",
        "accessKey": access_key,
        "accessSecret": secret_key,
        "secure": tls,
        "externalBucketList": list(buckets),
        "whitelistedBuckets": list(buckets),
        "compatibilityMode": True,  # the store is MinIO, not AWS
        "propertyList": [
            {"name": "dremio.s3.compat", "value": "true"},
            {"name": ENDPOINT, "value": endpoint},
            {"name": "fs.s3a.path.style.access", "value": "true"},
        ],
    }


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = dict.fromkeys(EXPLICIT, False) | inputs.known_keys(
        raw, ("name", "type", "config"), POLICY
    )
    catalog.name(spec["name"], "name", forbidden=FORBIDDEN)
    inputs.text(spec["type"], "type")
    for key in EXPLICIT:
        inputs.flag(spec[key], key)
    if "accelerationRefreshPeriodMs" in spec:
        inputs.whole(
            spec["accelerationRefreshPeriodMs"],
            "accelerationRefreshPeriodMs",
            least=LEAST_REFRESH_MS,
        )
    return {**spec, "config": _canonical(inputs.mapping(spec["config"], "config"))}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    if live := _find(client, spec):
        return _bring_to(client, live, spec)
    live = post_once(
        lambda: client.require("POST", "/catalog", {"entityType": "source", **spec}),
        lambda: _find(client, spec),
    )
    _wait_until_good(client, spec["name"])
    return Live(id=spec["name"], inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = client.by_path([id_])
    if live is None or catalog.kind_of(live) != "source":
        return None
    config = _canonical(live.get("config") or {})
    if known:
        config = only_known_keys(unmasked(config, known["config"], MASK), known["config"])
    policy = {key: live[key] for key in POLICY if live.get(key) is not None}
    found = {"name": live["name"], "type": live["type"], "config": config}
    return Live(id=id_, inputs={**found, **(only_known_keys(policy, known) if known else policy)})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = client.by_path([id_])
    if live is None:
        raise LookupError(f"source {id_!r} is gone")
    return _bring_to(client, live, spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    catalog.remove(client, [id_], "source")


def _find(client: DremioClient, spec: Props) -> Props | None:
    live = catalog.find(client, [spec["name"]], "source", "name")
    if live is not None and live["type"] != spec["type"]:
        raise InputError(
            "name",
            f"{spec['name']!r}: taken by a source of type {live['type']}, not {spec['type']}",
        )
    return live


def _bring_to(client: DremioClient, live: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        # The server's own settings stay where the user has none.
        kept = {key: at[key] for key in POLICY if key in at}
        config = {**(at.get("config") or {}), **spec["config"]}
        return {"entityType": "source", "id": at["id"], **kept, **spec, "config": config}

    _refuse_data_loss(client, body(live))
    client.put_tagged(entity(live["id"]), live, body)
    _wait_until_good(client, spec["name"])
    return Live(id=spec["name"], inputs=spec)


def _refuse_data_loss(client: DremioClient, body: Props) -> None:
    """Some edits make Dremio forget every dataset of the source, and with them formats,
    reflections and grants, without a word."""
    question = {key: body[key] for key in ("name", "type", "id", "config")}
    try:
        told = client.api.send("POST", "/apiv2/sources/isMetadataImpacting", question)
    except ApiError as error:
        if error.status in (400, 501):  # this server cannot tell
            return
        raise
    if told and told.get("isMetadataImpacting"):
        raise InputError(
            "config",
            "this change makes Dremio drop all datasets of the source with their formats and "
            "reflections: if that is meant, replace it with pulumi up --replace <its URN>",
        )


def _wait_until_good(client: DremioClient, name: str) -> None:
    last = {"text": "no state yet"}

    def good() -> bool | None:
        state = (client.by_path([name]) or {}).get("state") or {}
        texts = [message.get("message", "") for message in state.get("messages") or []]
        last["text"] = f"{state.get('status')}: {'; '.join(texts)}"
        return True if state.get("status") in ("good", "warn") else None

    try:
        wait_for(good, READY_TIMEOUT_S, f"source {name!r}")
    except TimeoutError:
        raise WorkFailedError(f"source {name!r} does not get ready: {last['text']}") from None


def _canonical(config: Any) -> Any:
    if inputs.is_unknown(config):
        return config
    found = dict(config)
    for key in SETS:
        if isinstance(found.get(key), list):
            found[key] = sorted(set(inputs.texts(found[key], f"config.{key}", empty=True)))
    for key in PROPERTIES:
        if isinstance(found.get(key), list):
            found[key] = sorted(
                (_property(p, f"config.{key}[{at}]") for at, p in enumerate(found[key])),
                key=lambda p: str(p["name"]),
            )
    return found


def _property(raw: Any, at: str) -> Props:
    if not isinstance(raw, Mapping) or not {"name", "value"} <= set(raw):
        raise InputError(at, "expected an object with name and value")
    value = raw["value"]
    if raw["name"] == ENDPOINT and isinstance(value, str) and "://" in value:
        raise InputError(f"{at}.value", f"{ENDPOINT}: expected host:port without a scheme")
    return {"name": raw["name"], "value": value}
