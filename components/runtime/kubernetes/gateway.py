"""The one way in: a Gateway with a certificate, and a route per service that is published.

https://gateway-api.sigs.k8s.io/
"""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime.catalog import place
from components.runtime.kubernetes import certificates, network
from components.runtime.kubernetes.pods import namespace_labels, selector
from components.runtime.service import HTTP, SCHEMES, Address

GATEWAY_API = "gateway.networking.k8s.io"
HTTPS_PORT = 443
HTTP_PORT = 80
# service -> label of its port -> listener. What is not here stays inside: the metrics have no
# log-in, and MinIO's console is not needed for work.
ROUTES = {
    "airbyte": {"api": "https"},
    "dremio": {"rest": "https", "flight": "flight"},
    "elasticsearch": {"http": "https"},
    "minio": {"s3": "https"},
    "postgres": {"sql": "sql"},
    "superset": {"http": "https"},
}
ROUTE_KINDS = {
    "https": ("v1", "HTTPRoute"),
    "flight": ("v1", "GRPCRoute"),
    "sql": ("v1alpha2", "TCPRoute"),
}
SECURE = {HTTP: "https", "grpc": "grpc+tls"}


def published_address(service: str, port: str, domain: str) -> Address | None:
    """None for a port that is not published."""
    listener = ROUTES.get(service, {}).get(port)
    if listener is None:
        return None
    scheme = SCHEMES.get(port, HTTP)
    number = HTTPS_PORT if listener == "https" else place(service).ports[port]
    return Address(host=f"{service}.{domain}", port=number, scheme=SECURE.get(scheme, scheme))


def keeps_own_certificate(service: str, port: str) -> bool:
    """Whether who comes through the Gateway meets the certificate of the service itself: TLS ends
    at the Gateway for all but PostgreSQL, whose protocol asks for it on its way."""
    return ROUTES.get(service, {}).get(port) == "sql"


def public_address(service: str, port: str, domain: str) -> Address | None:
    """None for a port that nobody meets with the Gateway's certificate."""
    if keeps_own_certificate(service, port):
        return None
    return published_address(service, port, domain)


class Gateway(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        *,
        stack: str,
        domain: str,
        gateway_class: str,
        issuer: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("dataflow:runtime:Gateway", name, None, opts)
        self._stack = stack
        self._domain = domain
        self._name = name
        self._namespace = f"dataflow-{stack}-gateway"
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": self._namespace, "labels": namespace_labels(stack)},
            opts=child_of(self),
        )
        certificate = self._object(
            "certificate",
            *certificates.CERTIFICATE,
            certificates.certificate(
                secret="gateway-tls",  # noqa: S106 - a name
                hosts=[f"*.{domain}"],
                issuer={"kind": "ClusterIssuer", "name": issuer},
            ),
            [namespace],
        )
        self._gateway = self._object(
            "gateway",
            f"{GATEWAY_API}/v1",
            "Gateway",
            {"gatewayClassName": gateway_class, "listeners": self._listeners()},
            [namespace, certificate],
        )
        self._object(
            "to-https",
            f"{GATEWAY_API}/v1",
            "HTTPRoute",
            {
                "parentRefs": [{"name": "gateway", "sectionName": "http"}],
                "rules": [
                    {
                        "filters": [
                            {
                                "type": "RequestRedirect",
                                "requestRedirect": {"scheme": "https", "statusCode": 301},
                            }
                        ]
                    }
                ],
            },
            [self._gateway],
        )
        self.register_outputs({"domain": domain})

    def way_in(self) -> dict[str, Any]:
        """The rule by which a service of the stack reaches others like somebody from outside."""
        return {
            "to": [network.all_of(self._namespace)],
            "ports": network.ports_of([HTTPS_PORT]),
        }

    def _listeners(self) -> list[dict[str, Any]]:
        tls = {"mode": "Terminate", "certificateRefs": [{"name": "gateway-tls"}]}
        routes = {
            "namespaces": {
                "from": "Selector",
                "selector": {"matchLabels": {"dataflow/stack": self._stack}},
            }
        }
        host = {"hostname": f"*.{self._domain}"}
        flight, sql = place("dremio").ports["flight"], place("postgres").ports["sql"]
        listeners: list[dict[str, Any]] = [
            {"name": "http", "protocol": "HTTP", "port": HTTP_PORT, **host},
            {"name": "https", "protocol": "HTTPS", "port": HTTPS_PORT, "tls": tls, **host},
            {"name": "flight", "protocol": "HTTPS", "port": flight, "tls": tls, **host},
            # PostgreSQL asks for TLS inside its own protocol: the bytes pass as they are.
            {"name": "sql", "protocol": "TCP", "port": sql},
        ]
        return [{**listener, "allowedRoutes": routes} for listener in listeners]

    def _object(
        self,
        part: str,
        version: str,
        kind: str,
        spec: dict[str, Any],
        needs: list[pulumi.Resource],
    ) -> pulumi.Resource:
        made: pulumi.Resource = k8s.apiextensions.CustomResource(
            f"{self._name}-{part}",
            api_version=version,
            kind=kind,
            metadata={"name": part, "namespace": self._namespace},
            spec=spec,
            opts=child_of(self, depends_on=needs),
        )
        return made

    def route(
        self,
        service: str,
        *,
        namespace: str,
        host: str,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource],
    ) -> None:
        """Publishes the ports of a service that ROUTES names, and lets the Gateway in, which
        speaks TLS to it and verifies it."""
        routes = ROUTES.get(service, {})
        for port, listener in routes.items():
            version, kind = ROUTE_KINDS[listener]
            backend = {"name": host, "port": place(service).ports[port]}
            names = {} if listener == "sql" else {"hostnames": [f"{service}.{self._domain}"]}
            k8s.apiextensions.CustomResource(
                f"{service}-route-{port}",
                api_version=f"{GATEWAY_API}/{version}",
                kind=kind,
                metadata={"name": f"{service}-{port}", "namespace": namespace},
                spec={
                    "parentRefs": [
                        {
                            "name": "gateway",
                            "namespace": self._namespace,
                            "sectionName": listener,
                        }
                    ],
                    **names,
                    "rules": [{"backendRefs": [backend]}],
                },
                opts=child_of(parent, depends_on=[self._gateway, *depends_on]),
            )
        if {"https", "flight"} & set(routes.values()):  # others end no TLS at the Gateway
            k8s.apiextensions.CustomResource(
                f"{service}-backend-tls",
                api_version=f"{GATEWAY_API}/v1",
                kind="BackendTLSPolicy",
                metadata={"name": service, "namespace": namespace},
                spec={
                    "targetRefs": [{"group": "", "kind": "Service", "name": host}],
                    "validation": {
                        "hostname": f"{host}.{namespace}.svc",
                        "caCertificateRefs": [
                            {"group": "", "kind": "ConfigMap", "name": certificates.TRUSTED}
                        ],
                    },
                },
                opts=child_of(parent, depends_on=[self._gateway, *depends_on]),
            )
        if routes:
            ports = [place(service).ports[port] for port in routes]
            k8s.networking.v1.NetworkPolicy(
                f"{service}-from-gateway-policy",
                metadata={"name": f"{service}-from-gateway", "namespace": namespace},
                spec={
                    "podSelector": {"matchLabels": selector(self._stack, service)},
                    "policyTypes": ["Ingress"],
                    "ingress": [
                        {
                            "from": [network.all_of(self._namespace)],
                            "ports": network.ports_of(ports),
                        }
                    ],
                },
                opts=child_of(parent, depends_on=depends_on),
            )
