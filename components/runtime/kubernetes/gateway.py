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
from components.runtime.kubernetes.addresses import HTTPS_PORT, ROUTES, host_of
from components.runtime.kubernetes.labels import namespace_labels, selector
from components.runtime.kubernetes.settings import ClusterSettings
from components.runtime.service import GATEWAY

GATEWAY_API = "gateway.networking.k8s.io"
HTTP_PORT = 80
REDIRECT = {
    "type": "RequestRedirect",
    "requestRedirect": {"scheme": "https", "statusCode": 301},
}
ROUTE_KINDS = {
    "https": ("v1", "HTTPRoute"),
    "flight": ("v1", "GRPCRoute"),
    "sql": ("v1alpha2", "TCPRoute"),
}


class Gateway(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        *,
        settings: ClusterSettings,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("dataflow:runtime:Gateway", name, None, opts)
        self._name = name
        self._settings = settings
        self._namespace = settings.namespace(GATEWAY)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": self._namespace, "labels": namespace_labels(settings.stack)},
            opts=child_of(self),
        )
        certificate = self._object(
            "certificate",
            *certificates.CERTIFICATE,
            certificates.certificate(
                secret="gateway-tls",  # noqa: S106 - a name
                hosts=[f"*.{settings.domain}"],
                issuer={"kind": "ClusterIssuer", "name": settings.issuer},
            ),
            [namespace],
        )
        self._gateway = self._object(
            "gateway",
            f"{GATEWAY_API}/v1",
            "Gateway",
            {"gatewayClassName": settings.gateway_class, "listeners": self._listeners()},
            [namespace, certificate],
        )
        self._object(
            "to-https",
            f"{GATEWAY_API}/v1",
            "HTTPRoute",
            {
                "parentRefs": [{"name": "gateway", "sectionName": "http"}],
                "rules": [{"filters": [REDIRECT]}],
            },
            [self._gateway],
        )
        self.register_outputs({"domain": settings.domain})

    def _listeners(self) -> list[dict[str, Any]]:
        tls = {"mode": "Terminate", "certificateRefs": [{"name": "gateway-tls"}]}
        routes = {
            "namespaces": {
                "from": "Selector",
                "selector": {"matchLabels": {"dataflow/stack": self._settings.stack}},
            }
        }
        host = {"hostname": f"*.{self._settings.domain}"}
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
        self, service: str, *, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
    ) -> None:
        """Publishes the ports of a service that ROUTES names, and lets the Gateway in, which
        speaks TLS to it and verifies it."""
        routes = ROUTES.get(service, {})
        if not routes:
            return
        opts = child_of(parent, depends_on=[self._gateway, *depends_on])
        for port, listener in routes.items():
            self._route(service, port, listener, opts)
        if {"https", "flight"} & set(routes.values()):  # others end no TLS at the Gateway
            self._verify(service, opts)
        self._let_in(service, list(routes), child_of(parent, depends_on=depends_on))

    def _route(self, service: str, port: str, listener: str, opts: pulumi.ResourceOptions) -> None:
        version, kind = ROUTE_KINDS[listener]
        namespace = self._settings.namespace_of(service)
        gateway = {"name": "gateway", "namespace": self._namespace, "sectionName": listener}
        backend = {"name": host_of(service), "port": place(service).ports[port]}
        names = [f"{service}.{self._settings.domain}"]
        k8s.apiextensions.CustomResource(
            f"{service}-route-{port}",
            api_version=f"{GATEWAY_API}/{version}",
            kind=kind,
            metadata={"name": f"{service}-{port}", "namespace": namespace},
            spec={
                "parentRefs": [gateway],
                **({} if listener == "sql" else {"hostnames": names}),
                "rules": [{"backendRefs": [backend]}],
            },
            opts=opts,
        )

    def _verify(self, service: str, opts: pulumi.ResourceOptions) -> None:
        namespace, host = self._settings.namespace_of(service), host_of(service)
        authority = {"group": "", "kind": "ConfigMap", "name": certificates.TRUSTED}
        k8s.apiextensions.CustomResource(
            f"{service}-backend-tls",
            api_version=f"{GATEWAY_API}/v1",
            kind="BackendTLSPolicy",
            metadata={"name": service, "namespace": namespace},
            spec={
                "targetRefs": [{"group": "", "kind": "Service", "name": host}],
                "validation": {
                    "hostname": f"{host}.{namespace}.svc",
                    "caCertificateRefs": [authority],
                },
            },
            opts=opts,
        )

    def _let_in(self, service: str, ports: Sequence[str], opts: pulumi.ResourceOptions) -> None:
        namespace = self._settings.namespace_of(service)
        numbers = [place(service).ports[port] for port in ports]
        rule = {"from": [network.all_of(self._namespace)], "ports": network.ports_of(numbers)}
        k8s.networking.v1.NetworkPolicy(
            f"{service}-from-gateway-policy",
            metadata={"name": f"{service}-from-gateway", "namespace": namespace},
            spec={
                "podSelector": {"matchLabels": selector(self._settings.stack, service)},
                **network.ingress(rule),
            },
            opts=opts,
        )
