"""Configuration of a stack, checked as a whole before any resource is declared."""

import difflib
import importlib
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flow.model import DataFlow

NAMESPACE = "dataflow"
IMAGES = "images:"
URL = ":url"
PROFILES = ("small", "medium", "large")  # components/sizing.py
RUNTIMES = ("process", "docker", "kubernetes")
ENGINES = ("embedded", "product")
# Keys that a cluster needs: nothing can be guessed for them.
CLUSTER_KEYS = ("domain", "gatewayClass", "issuer", "apiServer")
# Keys of an object store that is there already: all of them, or none.
STORE_KEYS = (
    "objectStoreEndpoint",
    "objectStoreBucket",
    "objectStoreRegion",
    "objectStoreNetwork",
)
STORE_ACCOUNT = ("minio:user", "minio:password")
# Keys of an S3 service elsewhere that backups go to: all of them, or none.
BACKUP_KEYS = ("backupEndpoint", "backupBucket", "backupRegion", "backupNetwork")
BACKUP_ACCOUNT = ("backup:user", "backup:password")
SECURE_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
RESTORE_POINT = re.compile(r"([a-z0-9-]{1,50})@([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z)")
REGION = re.compile(r"[a-z0-9-]+")
MAX_PORT_OFFSET = 20000  # the highest port of the specification is 32010
MAX_SHOP_ORDERS = 15_000_000  # TPC-H scale factor 10, the largest that one process loads here


class SettingsError(ValueError):
    """Wrong configuration. The text lists every fault with its key, value and remedy."""


@dataclass(frozen=True, kw_only=True)
class RestorePoint:
    """archive: of PostgreSQL, at that time. time: in UTC, RFC 3339."""

    archive: str
    time: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Typed configuration of one stack; the fields are the keys of Pulumi.yaml's schema, and
    images: program -> reference, the keys `images:<program>`.
    urls: service -> address, the keys `<service>:url`."""

    stack: str
    runtime: str
    port_offset: int
    keep_data: bool
    allow_reset: bool
    shop_orders: int
    flow: str
    profile: str
    domain: str
    gateway_class: str
    issuer: str
    api_server: str
    storage_class: str
    airbyte: str
    object_store_endpoint: str
    object_store_bucket: str
    object_store_region: str
    object_store_network: str
    backup_endpoint: str
    backup_bucket: str
    backup_region: str
    backup_network: str
    recover: RestorePoint | None
    images: Mapping[str, str]
    urls: Mapping[str, str]

    def load_flow(self) -> DataFlow:
        """The flow that `dataflow:flow` names. Raises SettingsError when it is not one."""
        return load_flow(self.flow)


def load_flow(name: str) -> DataFlow:
    """The flow called `module:attribute`. Raises SettingsError when it is not one."""
    module, _, attribute = name.partition(":")
    try:
        flow = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as fault:
        raise SettingsError(
            f"{NAMESPACE}:flow: {name!r}: {fault}; "
            "expected module:attribute, such as flow.commerce:FLOW"
        ) from None
    if not isinstance(flow, DataFlow):
        raise SettingsError(
            f"{NAMESPACE}:flow: {name!r}: is a {type(flow).__name__}, expected a DataFlow"
        )
    return flow


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return value

    return parse


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _network(value: Any) -> str:
    if value:
        ipaddress.ip_network(str(value))  # its ValueError says what is wrong
    return str(value)


def _restore_point(value: Any) -> RestorePoint | None:
    if not value:
        return None
    if not (found := RESTORE_POINT.fullmatch(str(value))):
        raise ValueError("expected ARCHIVE@TIME, as bin/dataflow restore sets it")
    datetime.fromisoformat(found[2])  # its ValueError says what is wrong
    return RestorePoint(archive=found[1], time=found[2])


def _secure_url(value: Any) -> str:
    """The root of an https address, without credentials, or nothing."""
    text = str(value).rstrip("/")
    if text and not SECURE_URL.fullmatch(text):
        raise ValueError("expected https://host or https://host:port")
    return text


def _named(pattern: re.Pattern[str], expected: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value and not pattern.fullmatch(str(value)):
            raise ValueError(f"expected {expected}")
        return str(value)

    return parse


_bucket_name = _named(BUCKET_NAME, "3 to 63 lower-case letters, digits, hyphens and dots")
_region = _named(REGION, "lower-case letters, digits and hyphens, such as eu-central-1")


def _choice(*valid: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in valid:
            raise ValueError(f"expected one of {', '.join(valid)}")
        return str(value)

    return parse


# key -> (field, how to read it). Defaults and descriptions stand in Pulumi.yaml.
_PARSERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "runtime": ("runtime", _choice(*RUNTIMES)),
    "portOffset": ("port_offset", _integer(0, MAX_PORT_OFFSET)),
    "keepData": ("keep_data", _boolean),
    "allowReset": ("allow_reset", _boolean),
    "shopOrders": ("shop_orders", _integer(100, MAX_SHOP_ORDERS)),
    "flow": ("flow", str),
    "profile": ("profile", _choice(*PROFILES)),
    "domain": ("domain", str),
    "gatewayClass": ("gateway_class", str),
    "issuer": ("issuer", str),
    "apiServer": ("api_server", _network),
    "storageClass": ("storage_class", str),
    "airbyte": ("airbyte", _choice(*ENGINES)),
    "objectStoreEndpoint": ("object_store_endpoint", _secure_url),
    "objectStoreBucket": ("object_store_bucket", _bucket_name),
    "objectStoreRegion": ("object_store_region", _region),
    "objectStoreNetwork": ("object_store_network", _network),
    "backupEndpoint": ("backup_endpoint", _secure_url),
    "backupBucket": ("backup_bucket", _bucket_name),
    "backupRegion": ("backup_region", _region),
    "backupNetwork": ("backup_network", _network),
    "recover": ("recover", _restore_point),
}
OTHER_SEEDS = ("nextSeed", "formerSeed")  # set while credentials are replaced
_SECRET_KEYS = ("seed", *OTHER_SEEDS)


def parse(
    stack: str, config: Mapping[str, str], *, encrypted: Callable[[str], bool] = lambda _key: True
) -> Settings:
    """The settings in `config` (the engine's view: `dataflow:key` -> text). encrypted: whether
    the value of a key is, in the file of the stack.

    Raises SettingsError that names every unknown, missing or wrong value at once.
    """
    own = {
        key.removeprefix(f"{NAMESPACE}:"): value
        for key, value in config.items()
        if key.startswith(f"{NAMESPACE}:")
    }
    values: dict[str, Any] = {}
    faults = [*_unknown_keys(stack, own)]
    for key, (name, read) in _PARSERS.items():
        if key not in own:
            faults.append(f"{NAMESPACE}:{key}: is not set: pulumi config set {key} VALUE")
            continue
        try:
            values[name] = read(_plain(own[key]))
        except ValueError as fault:
            faults.append(f"{NAMESPACE}:{key}: {own[key]!r}: {fault} (Pulumi.{stack}.yaml)")
    if faults:
        raise SettingsError("configuration of stack " + f"{stack!r}:\n  " + "\n  ".join(faults))
    images = {
        key.removeprefix(IMAGES): value for key, value in config.items() if key.startswith(IMAGES)
    }
    urls = {key.removesuffix(URL): value for key, value in config.items() if key.endswith(URL)}
    settings = Settings(stack=stack, images=images, urls=urls, **values)
    given = {key for key in own if own[key]}
    if settings.runtime == "kubernetes" and (missing := _missing(CLUSTER_KEYS, given)):
        raise SettingsError(
            f"{NAMESPACE}:runtime: 'kubernetes': needs {', '.join(missing)}: "
            f"see Pulumi.yaml for what they say (Pulumi.{stack}.yaml)"
        )
    if settings.airbyte == "product" and settings.runtime != "kubernetes":
        raise SettingsError(
            f"{NAMESPACE}:airbyte: 'product': the product runs on Kubernetes alone: expected "
            f"embedded with runtime {settings.runtime!r} (Pulumi.{stack}.yaml, docs/adr/0010)"
        )
    for store in STORES:
        if given & set(store.keys):
            account = {key for key in store.account if config.get(key)}
            _check_store(stack, settings.runtime, store, given | account)
            password = store.account[1]
            if not encrypted(password):
                raise SettingsError(
                    f"{password}: is in clear text in Pulumi.{stack}.yaml: "
                    f"pulumi config set --secret {password} VALUE"
                )
    if settings.recover and not settings.backup_endpoint:
        raise SettingsError(
            f"{NAMESPACE}:recover: needs the backup store that it was made from: set "
            f"{', '.join((*BACKUP_KEYS, *BACKUP_ACCOUNT))} (Pulumi.{stack}.yaml)"
        )
    if settings.backup_endpoint and _same_bucket(settings):
        raise SettingsError(
            f"{NAMESPACE}:backupBucket: {settings.backup_bucket!r}: is the stack's own bucket: "
            f"expected one of another service, or region (Pulumi.{stack}.yaml)"
        )
    return settings


def _missing(keys: tuple[str, ...], given: Set[str]) -> list[str]:
    return [key for key in keys if key not in given]


@dataclass(frozen=True, kw_only=True)
class _Store:
    """An S3 service that is there already: what it is called, its keys, the keys of its account
    with the secret one last, and what runtimes other than clusters have in its place."""

    what: str
    keys: tuple[str, ...]
    account: tuple[str, str]
    elsewhere: str


STORES = (
    _Store(
        what="an object store of your own",
        keys=STORE_KEYS,
        account=STORE_ACCOUNT,
        elsewhere="the stack brings MinIO",
    ),
    _Store(
        what="a backup store",
        keys=BACKUP_KEYS,
        account=BACKUP_ACCOUNT,
        elsewhere="bin/dataflow backup makes backups",
    ),
)


def _check_store(stack: str, runtime: str, store: _Store, given: Set[str]) -> None:
    key = next(key for key in store.keys if key in given)
    place = f"{NAMESPACE}:{key}:"
    if missing := _missing((*store.keys, *store.account), given):
        raise SettingsError(
            f"{place} {store.what} needs {', '.join(missing)} too: "
            f"see Pulumi.yaml for what they say (Pulumi.{stack}.yaml)"
        )
    if runtime != "kubernetes":
        raise SettingsError(
            f"{place} expected runtime kubernetes: on {runtime!r} {store.elsewhere} "
            f"(Pulumi.{stack}.yaml)"
        )


def _same_bucket(settings: Settings) -> bool:
    own = (settings.object_store_endpoint, settings.object_store_bucket)
    return own == (settings.backup_endpoint, settings.backup_bucket)


def _plain(text: str) -> Any:
    """Configuration arrives as text; numbers and booleans are JSON in it."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int) else text


def _unknown_keys(stack: str, own: Mapping[str, str]) -> Iterator[str]:
    valid = [*_PARSERS, *_SECRET_KEYS]
    for key in sorted(set(own) - set(valid)):
        near = difflib.get_close_matches(key, valid, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(valid)}"
        yield f"{NAMESPACE}:{key}: unknown key: {hint} (Pulumi.{stack}.yaml)"
