"""The engine's values as plain Python, with the places of secrets beside them.

A place is a tuple of keys. Lists have no places of their own: a secret in a list makes the
whole list secret, because normalize may sort it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from dynamic_providers.handler import UNKNOWN, InputError, Props

Place = tuple[str, ...]


def decode(struct: struct_pb2.Struct) -> tuple[Props, frozenset[Place]]:
    """The values, and the places that arrived as secrets. Nulls are dropped."""
    secret: set[Place] = set()
    return _object(struct, (), secret), frozenset(secret)


def _object(struct: struct_pb2.Struct, place: Place, secret: set[Place]) -> Props:
    found = {key: _value(value, (*place, key), secret) for key, value in struct.fields.items()}
    return {key: value for key, value in found.items() if value is not None}


def _value(value: struct_pb2.Value, place: Place, secret: set[Place]) -> Any:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "string_value":
            return value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "list_value":
            return [_item(item, place, secret) for item in value.list_value.values]
        case "struct_value":
            return _struct(value.struct_value, place, secret)
        case _:
            return None


def _item(value: struct_pb2.Value, place: Place, secret: set[Place]) -> Any:
    inside: set[Place] = set()
    plain = _value(value, (), inside)
    if inside:
        secret.add(place)
    return plain


def _struct(struct: struct_pb2.Struct, place: Place, secret: set[Place]) -> Any:
    signature = struct.fields.get(rpc._special_sig_key)
    if signature is None:
        return _object(struct, place, secret)
    kind = signature.string_value
    if kind == rpc._special_secret_sig:
        secret.add(place)
    elif kind == rpc._special_output_value_sig:
        if struct.fields["secret"].bool_value:
            secret.add(place)
        if "value" not in struct.fields:
            return UNKNOWN
    else:
        raise InputError(".".join(place), "assets and resources are not served here")
    return _value(struct.fields["value"], place, secret)


def encode(values: Mapping[str, Any], secret: Iterable[Place] = ()) -> struct_pb2.Struct:
    """`values` as the engine wants them, marked secret at the places `secret`."""
    places = frozenset(secret)
    fields = {
        key: _marshal(value, (key,), places) for key, value in values.items() if value is not None
    }
    return struct_pb2.Struct(fields=fields)


def _marshal(value: Any, place: Place, secret: frozenset[Place]) -> struct_pb2.Value:
    plain = _plain(value, place, secret)
    if place not in secret:
        return plain
    signature = struct_pb2.Value(string_value=rpc._special_secret_sig)
    wrapped = {rpc._special_sig_key: signature, "value": plain}
    return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=wrapped))


def _plain(value: Any, place: Place, secret: frozenset[Place]) -> struct_pb2.Value:
    match value:
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=float(value))
        case str():
            return struct_pb2.Value(string_value=value)
        case list() | tuple():
            items = [_plain(item, (), frozenset()) for item in value]
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
        case Mapping():
            fields = {
                key: _marshal(item, (*place, key), secret)
                for key, item in value.items()
                if item is not None
            }
            return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
        case _:
            raise TypeError(f"{'.'.join(place)}: cannot send a {type(value).__name__}")


def texts_at(values: Mapping[str, Any], places: Iterable[Place]) -> set[str]:
    """Every text at or below `places`, but UNKNOWN: what must not show elsewhere."""
    found: set[str] = set()
    for place in places:
        value: Any = values
        for key in place:
            value = value.get(key) if isinstance(value, Mapping) else None
        _collect(value, found)
    return found - {"", UNKNOWN}


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.add(str(value))


def has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)
