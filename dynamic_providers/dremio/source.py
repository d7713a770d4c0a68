"""Dremio source: a connection to a store, of any type that the server knows.

Some changes of a source make Dremio forget all its datasets, and with them formats, reflections
and grants. They are refused, unless allowMetadataLoss is set: in the preview where the change is
of an address, and else when Dremio says so, before anything is changed.
https://docs.dremio.com/current/reference/api/catalog/source/
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import ApiError, post_once
from dynamic_providers.canonical import only_known_keys, unmasked
from dynamic_providers.dremio import catalog
from dynamic_providers.dremio.client import MASK, DremioClient, entity
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
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
ALLOW_LOSS = "allowMetadataLoss"
# Ours alone: whether a change may make Dremio forget the datasets.
LOCAL = frozenset({ALLOW_LOSS})
# Keys of config that say where the data is: other data has other datasets.
ADDRESS = ("rootPath", "hostname", "port", "databaseName", "hostList", "path")

_FILES = (
    "rootPath", "propertyList", "secretPropertyList", "enableAsync", "isCachingEnabled",
    "maxCacheSpacePct", "defaultCtasFormat", "isPartitionInferenceEnabled",
)  # fmt: skip
# https://docs.dremio.com/current/reference/api/catalog/source/container-source-config/
# The keys of other types are left to the server.
CONFIG_KEYS: Mapping[str, tuple[str, ...]] = {
    "S3": (
        *_FILES, "credentialType", "accessKey", "accessSecret", "assumedRoleARN", "awsProfile",
        "secure", "externalBucketList", "whitelistedBuckets", "compatibilityMode",
        "requesterPays", "enableFileStatusCheck", "kmsKeyARN",
    ),
    "POSTGRES": (
        "hostname", "port", "databaseName", "username", "password", "authenticationType",
        "secretResourceUrl", "fetchSize", "useSsl", "encryptionValidationMode", "maxIdleConns",
        "idleTimeSec", "queryTimeoutSec", "propertyList", "enableExternalQuery",
    ),
    "ELASTIC": (
        "hostList", "authenticationType", "username", "password", "scriptsEnabled",
        "showHiddenIndices", "showIdColumn", "readTimeoutMillis", "scrollTimeoutMillis",
        "usePainless", "scrollSize", "allowPushdownOnNormalizedOrAnalyzedFields",
        "warnOnRowCountMismatch", "sslEnabled", "encryptionValidationMode", "useWhitelist",
        "forceDoublePrecision",
    ),
    "NAS": (*_FILES, "path", "allowCreateDrop"),
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "S3": (),
    "POSTGRES": ("hostname", "databaseName"),
    "ELASTIC": ("hostList",),
    "NAS": ("path",),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "credentialType": ("ACCESS_KEY", "AWS_PROFILE", "EC2_METADATA", "NONE"),
    "authenticationType": ("ANONYMOUS", "MASTER"),
    "defaultCtasFormat": ("ICEBERG", "PARQUET"),
    "encryptionValidationMode": (
        "CERTIFICATE_AND_HOSTNAME_VALIDATION",
        "CERTIFICATE_ONLY_VALIDATION",
        "NO_VALIDATION",
    ),
}
FLAGS = frozenset({
    "secure", "compatibilityMode", "enableAsync", "isCachingEnabled", "requesterPays",
    "enableFileStatusCheck", "isPartitionInferenceEnabled", "useSsl", "scriptsEnabled",
    "showHiddenIndices", "showIdColumn", "usePainless", "sslEnabled", "useWhitelist",
    "allowPushdownOnNormalizedOrAnalyzedFields", "warnOnRowCountMismatch", "allowCreateDrop",
    "enableExternalQuery", "forceDoublePrecision",
})  # fmt: skip
NUMBERS = frozenset({
    "maxCacheSpacePct", "fetchSize", "maxIdleConns", "idleTimeSec", "queryTimeoutSec",
    "readTimeoutMillis", "scrollTimeoutMillis", "scrollSize",
})  # fmt: skip
METADATA_POLICY = "metadataPolicy"
METADATA_MS = ("authTTLMs", "namesRefreshMs", "datasetRefreshAfterMs", "datasetExpireAfterMs")
METADATA_FLAGS = ("deleteUnavailableDatasets", "autoPromoteDatasets")
UPDATE_MODES = ("INLINE", "PREFETCH", "PREFETCH_QUERIED")
REFRESH_POLICIES = ("NEVER", "PERIOD", "REFRESH_ON_DATA_CHANGES", "SCHEDULE")
_LOSS = "this change makes Dremio drop all datasets of the source, with formats and reflections"
_OPT_IN = f"if that is meant, set {ALLOW_LOSS} to true"


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
        raw, ("name", "type", "config"), (*POLICY, ALLOW_LOSS)
    )
    catalog.name(spec["name"], "name", forbidden=FORBIDDEN)
    inputs.text(spec["type"], "type")
    _check_policy(spec)
    config = _canonical(inputs.mapping(spec["config"], "config"))
    if not inputs.is_unknown(config):
        config = _checked(config, str(spec["type"]))
    return {**spec, "config": config}


def review(old: Props, new: Props) -> None:
    """Raises InputError if the source is to look elsewhere, where it has other datasets."""
    if new.get(ALLOW_LOSS) is True or any(old.get(k) != new[k] for k in REPLACE_ON):
        return  # meant, or a replacement that the preview shows
    before, after = old.get("config"), new["config"]
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return
    for key in ADDRESS:
        # A key that is set for the first time may repeat what the server had before.
        both = key in before and key in after and UNKNOWN not in str(after[key])
        if both and before[key] != after[key]:
            raise InputError(f"config.{key}", f"{_LOSS}; {_OPT_IN}")


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    if live := _find(client, spec):
        return _bring_to(client, live, {}, spec)
    live = post_once(
        lambda: client.require("POST", "/catalog", {"entityType": "source", **_sent(spec)}),
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
    found |= {key: known[key] for key in LOCAL if key in known}
    return Live(id=id_, inputs={**found, **(only_known_keys(policy, known) if known else policy)})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = client.by_path([id_])
    if live is None:
        raise LookupError(f"source {id_!r} is gone")
    return _bring_to(client, live, old, spec)


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


def _bring_to(client: DremioClient, live: Props, old: Props, spec: Props) -> Live:
    def body(at: Props) -> Props:
        settings = {key: at[key] for key in POLICY if key in at}
        own = catalog.merged(
            settings, {key: old[key] for key in POLICY if key in old}, _sent(spec)
        )
        for key in ("config", METADATA_POLICY):
            own[key] = catalog.merged(at.get(key), old.get(key), spec.get(key))
        if not own[METADATA_POLICY]:
            del own[METADATA_POLICY]
        return {"entityType": "source", "id": at["id"], **own}

    if not spec.get(ALLOW_LOSS):
        _refuse_data_loss(client, body(live))
    client.put_tagged(entity(live["id"]), live, body)
    _wait_until_good(client, spec["name"])
    return Live(id=spec["name"], inputs=spec)


def _refuse_data_loss(client: DremioClient, body: Props) -> None:
    question = {key: body[key] for key in ("name", "type", "id", "config")}
    try:
        told = client.api.send("POST", "/apiv2/sources/isMetadataImpacting", question)
    except ApiError as error:
        if error.status in (400, 501):  # this server cannot tell
            return
        raise
    if told and told.get("isMetadataImpacting"):
        lost = _datasets(client, body["name"])
        if lost:
            raise InputError("config", f"{_LOSS}: {catalog.some(lost)}; {_OPT_IN}")


def _datasets(client: DremioClient, name: str) -> list[str]:
    """Dotted paths of the source's tables."""
    schema = name.replace("'", "''")
    rows = client.rows(
        'SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA."TABLES"'  # noqa: S608
        f" WHERE TABLE_SCHEMA = '{schema}' OR POSITION('{schema}.' IN TABLE_SCHEMA) = 1"
    )
    return sorted(f"{row['TABLE_SCHEMA']}.{row['TABLE_NAME']}" for row in rows)


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
                key=lambda p: str(p["name"] if isinstance(p, Mapping) else p),
            )
    return found


def _property(raw: Any, at: str) -> Any:
    if inputs.is_unknown(raw):
        return raw
    if not isinstance(raw, Mapping) or not {"name", "value"} <= set(raw):
        raise InputError(at, "expected an object with name and value")
    value = raw["value"]
    if raw["name"] == ENDPOINT and isinstance(value, str) and "://" in value:
        raise InputError(f"{at}.value", f"{ENDPOINT}: expected host:port without a scheme")
    return {"name": raw["name"], "value": value}


def _sent(spec: Props) -> Props:
    return {key: value for key, value in spec.items() if key not in LOCAL}


def _check_policy(spec: Props) -> None:
    for key in POLICY:
        if key not in spec or key == METADATA_POLICY:
            continue
        if key == "accelerationRefreshPeriodMs":
            inputs.whole(spec[key], key, least=LEAST_REFRESH_MS)
        elif key == "accelerationGracePeriodMs":
            inputs.whole(spec[key], key, least=LEAST_REFRESH_MS)
        elif key == "accelerationActivePolicyType":
            inputs.one_of(spec[key], REFRESH_POLICIES, key)
        elif key == "accelerationRefreshSchedule":
            inputs.text(spec[key], key)
        else:
            inputs.flag(spec[key], key)
    policy = inputs.mapping(spec.get(METADATA_POLICY, {}), METADATA_POLICY)
    if not inputs.is_unknown(policy):
        _check_metadata_policy(policy)


def _check_metadata_policy(policy: Props) -> None:
    mode = "datasetUpdateMode"
    inputs.known_keys(policy, (), (*METADATA_MS, mode, *METADATA_FLAGS), at=METADATA_POLICY)
    for key, value in policy.items():
        at = f"{METADATA_POLICY}.{key}"
        if key == mode:
            inputs.one_of(value, UPDATE_MODES, at)
        elif key in METADATA_MS:
            inputs.whole(value, at, least=0)
        else:
            inputs.flag(value, at)


def _checked(config: Props, type_: str) -> Props:
    """`config` checked against the keys of its type, where these are known."""
    if type_ not in CONFIG_KEYS:
        return config
    optional = [key for key in CONFIG_KEYS[type_] if key not in REQUIRED[type_]]
    found = inputs.known_keys(config, REQUIRED[type_], optional, at="config")
    for key, value in found.items():
        at = f"config.{key}"
        if key in CHOICES:
            inputs.one_of(value, CHOICES[key], at)
        elif key in FLAGS:
            inputs.flag(value, at)
        elif key in NUMBERS:
            inputs.whole(value, at, least=0)
        elif key == "hostList":
            found[key] = _hosts(value)
        elif key == "port":
            found[key] = str(value)  # the API's ports of databases are texts
    return found


def _hosts(value: Any) -> Any:
    hosts = inputs.listing(value, "config.hostList")
    if inputs.is_unknown(hosts):
        return hosts
    for at, host in enumerate(hosts):
        place = f"config.hostList[{at}]"
        if not inputs.is_unknown(inputs.mapping(host, place)):
            inputs.known_keys(host, ("hostname", "port"), at=place)
            inputs.text(host["hostname"], f"{place}.hostname")
            inputs.whole(host["port"], f"{place}.port", least=1)
    return hosts
