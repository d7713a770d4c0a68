"""Configuration of a stack, checked as a whole before any resource is declared."""

import difflib
import importlib
import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flow.model import DataFlow

NAMESPACE = "dataflow"
IMAGES = "images:"
URL = ":url"
PROFILES = ("small", "medium", "large")  # components/sizing.py
RUNTIMES = ("process", "docker", "kubernetes")
# Keys that a cluster needs: nothing can be guessed for them.
CLUSTER_KEYS = ("domain", "gatewayClass", "issuer", "apiServer")
MAX_PORT_OFFSET = 20000  # the highest port of the specification is 32010
MAX_SHOP_ORDERS = 15_000_000  # TPC-H scale factor 10, the largest that one process loads here


class SettingsError(ValueError):
    """Wrong configuration. The text lists every fault with its key, value and remedy."""


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
}
OTHER_SEEDS = ("nextSeed", "formerSeed")  # set while credentials are replaced
_SECRET_KEYS = ("seed", *OTHER_SEEDS)


def parse(stack: str, config: Mapping[str, str]) -> Settings:
    """The settings in `config` (the engine's view: `dataflow:key` -> text).

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
    if settings.runtime == "kubernetes" and (
        missing := [key for key in CLUSTER_KEYS if not getattr(settings, _PARSERS[key][0])]
    ):
        raise SettingsError(
            f"{NAMESPACE}:runtime: 'kubernetes': needs {', '.join(missing)}: "
            f"see Pulumi.yaml for what they say (Pulumi.{stack}.yaml)"
        )
    return settings


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
