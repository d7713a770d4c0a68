"""Sources: their configuration, their secrets, and how a path becomes a storage location."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded.dremio.catalog.model import Path
from embedded.dremio.errors import invalid, unsupported
from embedded.dremio.storage.duck import identifier, literal
from embedded.dremio.storage.s3 import Connection

MASK = "$DREMIO_EXISTING_VALUE$"
HOUR_MS = 3_600_000

SECRETS = {"S3": ("accessSecret",), "POSTGRES": ("password",)}
SECRET_LISTS = ("secretPropertyList",)
DEFAULTS: dict[str, dict[str, Any]] = {
    "S3": {
        "credentialType": "ACCESS_KEY",
        "accessKey": None,
        "accessSecret": None,
        "secure": False,
        "externalBucketList": None,
        "whitelistedBuckets": None,
        "rootPath": "/",
        "propertyList": None,
        "secretPropertyList": None,
        "compatibilityMode": False,
        "enableAsync": True,
        "isCachingEnabled": True,
        "maxCacheSpacePct": 100,
        "requesterPays": False,
        "enableFileStatusCheck": True,
        "defaultCtasFormat": "ICEBERG",
        "isPartitionInferenceEnabled": False,
    },
    "POSTGRES": {
        "hostname": None,
        "port": "5432",
        "databaseName": None,
        "username": None,
        "password": None,
        "authenticationType": "MASTER",
        "fetchSize": 200,
        "useSsl": False,
        "encryptionValidationMode": "CERTIFICATE_AND_HOSTNAME_VALIDATION",
        "maxIdleConns": 8,
        "idleTimeSec": 60,
        "queryTimeoutSec": 0,
        "propertyList": None,
    },
}
METADATA_POLICY: dict[str, Any] = {
    "authTTLMs": 86_400_000,
    "namesRefreshMs": HOUR_MS,
    "datasetRefreshAfterMs": HOUR_MS,
    "datasetExpireAfterMs": 3 * HOUR_MS,
    "datasetUpdateMode": "PREFETCH_QUERIED",
    "deleteUnavailableDatasets": True,
    "autoPromoteDatasets": False,
}
ACCELERATION: dict[str, Any] = {
    "accelerationGracePeriodMs": 3 * HOUR_MS,
    "accelerationRefreshPeriodMs": HOUR_MS,
    "accelerationActivePolicyType": "PERIOD",
    "accelerationRefreshSchedule": "0 0 8 * * *",
    "accelerationNeverExpire": False,
    "accelerationNeverRefresh": False,
    "accelerationRefreshOnDataChanges": False,
}
FLAGS: dict[str, Any] = {"allowCrossSourceSelection": False, "disableMetadataValidityCheck": False}
POLICIES = ("PERIOD", "SCHEDULE", "NEVER")
COMPRESSION_PREFIX = "dremio.parquet.compression"
COMPRESSIONS = ("snappy", "zstd", "gzip", "none")


def normalize(raw: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """The stored body of a source. `known`: the one it replaces, for masked secrets.

    Raises EngineError naming the field. Unknown keys are dropped, as the product does.
    """
    type_ = raw.get("type")
    if type_ == "ELASTIC":
        raise unsupported("Source type [ELASTIC] is not built yet in this engine.")
    if type_ not in DEFAULTS:
        raise invalid(f"Unknown source type [{type_}]; expected one of {', '.join(DEFAULTS)}")
    if known is not None and known["type"] != type_:
        raise invalid(f"The type of a source cannot change from [{known['type']}] to [{type_}].")
    given = raw.get("config") or {}
    config = {name: given.get(name, default) for name, default in DEFAULTS[type_].items()}
    _keep_secrets(config, (known or {}).get("config", {}), type_)
    _CHECKS[type_](config)
    _check_acceleration(raw)
    return {
        "type": type_,
        "config": config,
        "metadataPolicy": METADATA_POLICY
        | _known_keys(raw.get("metadataPolicy"), METADATA_POLICY),
        **{name: raw.get(name, default) for name, default in (ACCELERATION | FLAGS).items()},
        "description": raw.get("description") or "",
    }


def _known_keys(given: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (given or {}).items() if name in defaults}


def _check_acceleration(raw: Mapping[str, Any]) -> None:
    policy = raw.get("accelerationActivePolicyType", "PERIOD")
    if policy not in POLICIES:
        raise invalid(
            f"accelerationActivePolicyType [{policy}]: expected one of {', '.join(POLICIES)}"
        )
    period = raw.get("accelerationRefreshPeriodMs", HOUR_MS)
    if not isinstance(period, int) or 0 < period < HOUR_MS or period < 0:
        raise invalid(f"accelerationRefreshPeriodMs [{period}]: must be at least 1 hour.")


def _keep_secrets(config: dict[str, Any], known: Mapping[str, Any], type_: str) -> None:
    for name in SECRETS[type_]:
        if config[name] == MASK:
            config[name] = known.get(name)
    for name in SECRET_LISTS:
        stored = {item["name"]: item["value"] for item in known.get(name) or []}
        for item in config.get(name) or []:
            if item.get("value") == MASK:
                item["value"] = stored.get(item.get("name"))


def masked(body: Mapping[str, Any]) -> dict[str, Any]:
    """`config` as clients may see it."""
    config = dict(body["config"])
    for name in SECRETS[body["type"]]:
        config[name] = MASK if config[name] else None
    for name in SECRET_LISTS:
        if config.get(name):
            config[name] = [{**item, "value": MASK} for item in config[name]]
    return config


def properties(config: Mapping[str, Any]) -> dict[str, str]:
    both = [*(config.get("propertyList") or []), *(config.get("secretPropertyList") or [])]
    return {str(item["name"]): str(item["value"]) for item in both}


def _check_s3(config: dict[str, Any]) -> None:
    kinds = ("ACCESS_KEY", "NONE")
    if config["credentialType"] not in kinds:
        raise unsupported(
            f"credentialType [{config['credentialType']}] is not built yet in this engine; "
            f"expected one of {', '.join(kinds)}"
        )
    if config["credentialType"] == "ACCESS_KEY" and not (
        config["accessKey"] and config["accessSecret"]
    ):
        raise invalid("accessKey and accessSecret are required with credentialType [ACCESS_KEY]")
    if not isinstance(config["rootPath"], str) or not config["rootPath"].startswith("/"):
        raise invalid(f"rootPath [{config['rootPath']}]: expected a path that starts with /")
    for item in config["propertyList"] or []:
        if not isinstance(item, dict) or not {"name", "value"} <= set(item):
            raise invalid("propertyList: expected objects with name and value")
    for name, value in properties(config).items():
        if name.startswith(COMPRESSION_PREFIX) and value.lower() not in COMPRESSIONS:
            raise invalid(f"{name} [{value}]: expected one of {', '.join(COMPRESSIONS)}")


def _check_postgres(config: dict[str, Any]) -> None:
    for name in ("hostname", "databaseName", "username"):
        if not config[name]:
            raise invalid(f"config.{name} is required for a source of type [POSTGRES]")
    config["port"] = str(config["port"])
    if not config["port"].isdigit():
        raise invalid(f"config.port [{config['port']}]: expected a number")


_CHECKS = {"S3": _check_s3, "POSTGRES": _check_postgres}


@dataclass(frozen=True)
class Location:
    """An S3 place. prefix: without a leading slash."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def locate(config: Mapping[str, Any], path: Path) -> Location:
    """Where the dataset or folder `path` (source name first) of an S3 source lies.

    Raises EngineError for the source itself when its rootPath names no bucket.
    """
    parts = [part for part in config["rootPath"].split("/") if part] + list(path[1:])
    if not parts:
        raise invalid(f"[{path[0]}] holds buckets: name one.")
    return Location(parts[0], "/".join(parts[1:]))


def connection(config: Mapping[str, Any]) -> Connection:
    endpoint = properties(config).get("fs.s3a.endpoint", "s3.amazonaws.com")
    return Connection(
        endpoint=endpoint.removeprefix("http://").removeprefix("https://").rstrip("/"),
        secure=bool(config["secure"]),
        access_key=config["accessKey"] or "",
        secret_key=config["accessSecret"] or "",
    )


def secret_scope(config: Mapping[str, Any]) -> str:
    root = "/".join(part for part in config["rootPath"].split("/") if part)
    return f"s3://{root}/" if root else "s3://"


def secret_name(source_id: str) -> str:
    return f"source_{source_id.replace('-', '')}"


def s3_secret_sql(source_id: str, config: Mapping[str, Any]) -> str:
    link = connection(config)
    path_style = properties(config).get("fs.s3a.path.style.access", "").lower() == "true"
    style = "path" if path_style or config["compatibilityMode"] else "vhost"
    return (
        f"CREATE OR REPLACE SECRET {secret_name(source_id)} (TYPE s3, PROVIDER config,"
        f" KEY_ID {literal(link.access_key)}, SECRET {literal(link.secret_key)},"
        f" ENDPOINT {literal(link.endpoint)}, URL_STYLE '{style}', REGION 'us-east-1',"
        f" USE_SSL {str(link.secure).lower()}, SCOPE {literal(secret_scope(config))})"
    )


def postgres_sql(source_id: str, config: Mapping[str, Any]) -> tuple[str, str]:
    """(secret, attach) statements."""
    name = secret_name(source_id)
    secret = (
        f"CREATE OR REPLACE SECRET {name} (TYPE postgres, HOST {literal(config['hostname'])},"
        f" PORT {config['port']}, DATABASE {literal(config['databaseName'])},"
        f" USER {literal(config['username'])}, PASSWORD {literal(config['password'] or '')})"
    )
    attach = f"ATTACH '' AS {identifier(name)} (TYPE postgres, SECRET {name}, READ_ONLY)"
    return secret, attach


def compression(config: Mapping[str, Any], path: Path) -> str:
    """Codec of the Parquet files of table `path`: the source property
    `dremio.parquet.compression.<folder>[.<folder>]` with the longest matching folder path, else
    `dremio.parquet.compression`, else snappy (the product's default)."""
    rules = properties(config)
    for length in range(len(path), 0, -1):
        name = ".".join([COMPRESSION_PREFIX, *path[1:length]])
        if name in rules:
            codec = rules[name].lower()
            return "uncompressed" if codec == "none" else codec
    return "snappy"
