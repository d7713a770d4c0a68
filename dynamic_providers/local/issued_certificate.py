"""A service's certificate for a machine that Pulumi cannot write to: it is in the state alone.

What brings it to the service has it in the state too, as it has all files of the service. The key
and what holds it are secrets there, and each renewal makes another key. It is renewed when a third
of its time is left, by `up`, whose preview shows it.
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from dynamic_providers.handler import Live, Props
from dynamic_providers.local import certificate, inputs
from tls.authority import Authority, Issued, load

KIND = "local/IssuedCertificate"
REPLACE_ON: frozenset[str] = frozenset()
SECRETS = frozenset({"key", "keystore", "keystorePassword"})
COMPUTED = frozenset({"certificate", "key", "keystore", "notAfter"})


def normalize(raw: Mapping[str, Any]) -> Props:
    """The inputs of resources.IssuedCertificate with their defaults. Raises InputError."""
    spec = {
        **certificate.issuance(raw),
        "keystorePassword": inputs.text(raw, "keystorePassword"),
    }
    return spec | ({"renewedAt": raw["renewedAt"]} if raw.get("renewedAt") else {})


def renewed(old: Props, new: Props) -> Props:
    """Check of the contract's Renewer: asks for another one when the recorded one is due, or not
    what is wanted now."""
    known = {**new, "renewedAt": old["renewedAt"]} if old.get("renewedAt") else None
    if known is not None and known == old and not _due(known):
        return known
    return {**new, "renewedAt": datetime.now(UTC).isoformat(timespec="seconds")}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: Authority, spec: Props) -> Live:
    issued = client.issue(
        spec["name"], spec["hosts"], now=datetime.now(UTC), days=spec["durationDays"]
    )
    outputs = {
        "certificate": issued.certificate,
        "key": issued.key,
        "keystore": _keystore(client, spec, issued) if spec["keystorePassword"] else "",
        "notAfter": load(issued.certificate).not_valid_after_utc.isoformat(timespec="seconds"),
    }
    return Live(id=natural_key(spec), inputs=spec, outputs=outputs)


def read(_client: Authority, id_: str, known: Props) -> Live | None:
    """There is nothing to look at: what is recorded stays. Nothing can be imported."""
    return Live(id=id_, inputs=known) if known else None


def update(client: Authority, _id: str, _old: Props, spec: Props) -> Live:
    return create(client, spec)


def delete(_client: Authority, _id: str, _known: Props) -> None:
    """Nobody else holds it."""


def _due(spec: Props) -> bool:
    lasts = timedelta(days=spec["durationDays"] - spec["renewBeforeDays"])
    return datetime.now(UTC) >= datetime.fromisoformat(spec["renewedAt"]) + lasts


def _keystore(client: Authority, spec: Props, issued: Issued) -> str:
    """PKCS 12, in base64."""
    made = pkcs12.serialize_key_and_certificates(
        spec["name"].encode(),
        cast(ec.EllipticCurvePrivateKey, load_pem_private_key(issued.key.encode(), None)),
        load(issued.certificate),
        [load(client.certificate)],
        BestAvailableEncryption(spec["keystorePassword"].encode()),
    )
    return b64encode(made).decode()
