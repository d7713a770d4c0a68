"""Certificates of cert-manager: in each namespace an issuer that signs as the stack's authority,
and a certificate per service.

https://cert-manager.io/docs/reference/api-docs/
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import LAYERS, place
from components.runtime.containers import CA_FILE, TRUSTSTORE_FILE
from components.runtime.kubernetes.addresses import LOCAL_ADDRESSES, certified_names
from components.runtime.kubernetes.cluster import Cluster, CustomObject, custom_object, secret
from components.runtime.service import Authority, Certificate, Service
from tls.authority import DURATION_DAYS, RENEW_BEFORE_DAYS, authority, fingerprint, load
from tls.truststore import truststore

CERTIFICATE = ("cert-manager.io/v1", "Certificate")
ISSUER = ("cert-manager.io/v1", "Issuer")
TRUSTED = "authority"  # the ConfigMap of what clients trust, in each namespace
CA_KEY = CA_FILE.name
# What cert-manager writes into the Secret of a certificate.
CERTIFICATE_KEY, PRIVATE_KEY, KEYSTORE_KEY = "tls.crt", "tls.key", "keystore.p12"

# Of Secrets whose change the operator of PostgreSQL takes to the pods.
RELOADED = {"cnpg.io/reload": "true"}


@dataclass(frozen=True, kw_only=True)
class Issuers:
    """They sign as the stack's authority, each in the namespace of a layer.

    name: of each, and of its Secret. With another authority it is another one, so that
        cert-manager issues every certificate anew.
    """

    name: pulumi.Output[str]
    of_layers: Mapping[str, pulumi.Resource]


def issuers(runtime: str, parent: pulumi.Resource, cluster: Cluster, of: Authority) -> Issuers:
    """Also says in each namespace what clients trust."""
    name = of.certificate.apply(lambda pem: f"authority-{fingerprint(load(pem))[:8]}")
    pair = {
        "tls.crt": of.certificate,
        "tls.key": of.secret.apply(lambda secret: authority(secret).key),
    }
    made = {}
    for layer in LAYERS:
        inside = child_of(parent, depends_on=[cluster.namespaces[layer]])
        k8s.core.v1.ConfigMap(
            f"{runtime}-{layer}-authority",
            metadata={"name": TRUSTED, "namespace": cluster.settings.namespace(layer)},
            **_trusted(of),
            opts=inside,
        )
        metadata = {"name": name, "namespace": cluster.settings.namespace(layer)}
        key = k8s.core.v1.Secret(
            f"{runtime}-{layer}-authority-key",
            metadata=metadata,
            type="kubernetes.io/tls",
            string_data=pair,
            opts=inside,
        )
        made[layer] = _issuer(f"{runtime}-{layer}-issuer", parent, metadata, key)
    return Issuers(name=name, of_layers=made)


def _issuer(
    resource: str, parent: pulumi.Resource, metadata: Mapping[str, Any], key: pulumi.Resource
) -> pulumi.Resource:
    """Whoever may read secrets in its namespace could sign too. metadata: of its Secret."""
    version, kind = ISSUER
    made: pulumi.Resource = k8s.apiextensions.CustomResource(
        resource,
        api_version=version,
        kind=kind,
        metadata={**metadata, "annotations": {"pulumi.com/waitFor": "condition=Ready"}},
        spec={"ca": {"secretName": metadata["name"]}},
        opts=child_of(parent, depends_on=[key]),
    )
    return made


def _trusted(of: Authority) -> dict[str, Any]:
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


def certified(
    cluster: Cluster, issuers: Issuers, service: Service, component: pulumi.Resource
) -> list[pulumi.Resource]:
    """The certificate of a service, which is there before its pods: they would wait for its Secret
    without a word."""
    if service.certificate is None:
        return []
    needs = [issuers.of_layers[place(service.name).layer]]
    keystore_secret = ""
    if keystore := service.certificate.keystore:
        keystore_secret = f"{service.name}-keystore"
        data = {"password": keystore.password}
        needs.append(secret(cluster, component, keystore_secret, data, of=service.name))
    one = CustomObject(
        kind=CERTIFICATE,
        name=service.name,
        spec=certificate(
            secret=secret_of(service.name),
            hosts=certified_names(cluster.settings, service.name),
            addresses=LOCAL_ADDRESSES,
            issuer={"kind": ISSUER[1], "name": issuers.name},
            labels=RELOADED if service.program == "postgresql" else None,
            keystore=keystore_secret,
        ),
        part="certificate",
        wait_for="Ready",
    )
    return [custom_object(cluster, component, service.name, one, needs)]


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
