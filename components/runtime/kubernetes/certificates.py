"""Certificates of cert-manager: in each namespace an issuer that signs as the stack's authority,
and a certificate per service.

https://cert-manager.io/docs/reference/api-docs/
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.runtime.containers import CA_FILE, TRUSTSTORE_FILE
from components.runtime.service import Authority, Certificate
from tls.authority import DURATION_DAYS, RENEW_BEFORE_DAYS, authority, fingerprint, load
from tls.truststore import truststore

CERTIFICATE = ("cert-manager.io/v1", "Certificate")
ISSUER = ("cert-manager.io/v1", "Issuer")
TRUSTED = "authority"  # the ConfigMap of what clients trust, in each namespace
CA_KEY = CA_FILE.name
# What cert-manager writes into the Secret of a certificate.
CERTIFICATE_KEY, PRIVATE_KEY, KEYSTORE_KEY = "tls.crt", "tls.key", "keystore.p12"
# A forwarded port (kubectl port-forward) is verified too.
LOCAL_NAMES, LOCAL_ADDRESSES = ("localhost",), ("127.0.0.1",)


@dataclass(frozen=True, kw_only=True)
class Signing:
    """What the issuers of a stack sign with.

    name: of the Issuer and of its Secret. With another authority it is another one, so that
        cert-manager issues every certificate anew.
    """

    name: pulumi.Output[str]
    certificate: pulumi.Output[str]
    key: pulumi.Output[str]


def signing(of: Authority) -> Signing:
    return Signing(
        name=of.certificate.apply(lambda pem: f"authority-{fingerprint(load(pem))[:8]}"),
        certificate=of.certificate,
        key=of.secret.apply(lambda secret: authority(secret).key),
    )


def trusted(of: Authority) -> dict[str, Any]:
    """Data of the ConfigMap TRUSTED."""
    return {
        "data": {CA_KEY: of.trusted},
        "binary_data": {
            TRUSTSTORE_FILE.name: of.trusted.apply(
                lambda pem: base64.b64encode(truststore(pem)).decode()
            )
        },
    }


def secret_of(service: str) -> str:
    """The Secret of its certificate."""
    return f"{service}-tls"


def keystore_secret(service: str) -> str:
    """The Secret with the password of its keystore."""
    return f"{service}-keystore"


def certificate(
    *,
    secret: str,
    hosts: Sequence[str],
    issuer: Mapping[str, pulumi.Input[str]],
    addresses: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    keystore: str = "",
) -> dict[str, Any]:
    """The specification of a Certificate. keystore: the Secret with the password of a PKCS 12
    file to be made as well."""
    spec: dict[str, Any] = {
        "secretName": secret,
        "dnsNames": list(hosts),
        "duration": f"{24 * DURATION_DAYS}h",
        "renewBefore": f"{24 * RENEW_BEFORE_DAYS}h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", "server auth"],
        "issuerRef": dict(issuer),
    }
    if addresses:
        spec["ipAddresses"] = list(addresses)
    if labels:
        spec["secretTemplate"] = {"labels": dict(labels)}
    if keystore:
        password = {"name": keystore, "key": "password"}
        spec["keystores"] = {
            "pkcs12": {"create": True, "profile": "Modern2023", "passwordSecretRef": password}
        }
    return spec


def source(service: str, files: Certificate) -> dict[str, Any]:
    """A certificate's files for the configuration volume of its service."""
    items = {
        CERTIFICATE_KEY: files.certificate,
        PRIVATE_KEY: files.key,
        CA_KEY: files.ca,
        **({KEYSTORE_KEY: files.keystore.name} if files.keystore else {}),
    }
    return {
        "secret": {
            "name": secret_of(service),
            "items": [{"key": key, "path": f"tls/{path}"} for key, path in items.items()],
        }
    }
