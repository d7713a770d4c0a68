"""The runtime of a cluster: namespaces, workloads, and the edges between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components.options import child_of
from components.runtime import service as described
from components.runtime.catalog import LAYERS, place
from components.runtime.containers import CA_FILE, TRUSTSTORE_FILE, Containers, Part, in_order
from components.runtime.kubernetes import certificates, network, operators, pods
from components.runtime.kubernetes.certificates import Signing
from components.runtime.kubernetes.gateway import (
    Gateway,
    keeps_own_certificate,
    public_address,
    published_address,
)
from components.runtime.kubernetes.operators import CustomObject
from components.runtime.service import (
    GATEWAY,
    HTTP,
    SCHEMES,
    TLS_SCHEMES,
    Address,
    Authority,
    Endpoint,
    Launched,
    Pods,
    RunningService,
    ScheduledJob,
    Service,
)
from components.sizing import SMALLEST, Size
from services.images import Images

# program -> what its service is called in the cluster; every other has its own name.
HOSTS: Mapping[str, str] = {
    "postgres": "postgres-rw",
    "elasticsearch": "elasticsearch-es-http",
    "prometheus": "prometheus-operated",
}
# What else reaches the pods of a service.
MORE_HOSTS: Mapping[str, tuple[str, ...]] = {
    "minio": ("*.minio-members",),  # its servers each other
    "postgres": ("postgres-r", "postgres-ro"),  # replicas, of the operator
}
CLUSTER_DOMAINS = ("svc", "svc.cluster.local")
# Ports that the stack's authority does not certify: an operator's own does, or the product has no
# TLS between its parts, which meet nobody else.
NOT_CERTIFIED = frozenset(
    {
        ("airbyte-temporal", "frontend"),
        ("airbyte-workload-api", "http"),
        ("elasticsearch", "transport"),
        ("zookeeper", "client"),
    }
)
PRIORITIES: Mapping[str, int] = {"stores": 1_000_000, "engines": 900_000, "jobs": 800_000}
QUOTA_FACTOR = 3  # updates run old and new pods at once, and limits allow twice the request
JOB_RETRIES = 2
LATEST_START_S = 3600  # of a scheduled job, after its time
JOBS_KEPT = 3  # of a scheduled job, each way that they can end
JOB_KEPT_S = 7 * 24 * 3600  # with its pods and their logs, after its end
READY_TIMEOUT_S = 1800  # pulling an image of a gigabyte, and its first start
HPA_FACTOR = 3
HPA_CPU_PERCENT = 70
API_PORTS = (443, 6443)
LAUNCHER_RIGHTS = ("create", "delete", "get", "list", "patch", "watch")
FILLER_RIGHTS = ("get", "update")  # the secret is there, so nobody has to create any
OPERATOR_PORTS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    # program -> namespace of its operator, the ports of its pods that it calls
    "postgresql": ("cnpg-system", (5432, 8000)),
    "elasticsearch": ("elastic-system", (9200,)),
}


@dataclass(frozen=True, kw_only=True)
class Outside:
    """network: of its addresses, in CIDR notation: policies know no names."""

    url: str
    network: str


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """domain: services are published as <service>.<domain>.
    storage_class, gateway_class: "" for the cluster's own storage class.
    api_server: network of the API server in CIDR notation, for pods that work with it.
    issuer: ClusterIssuer of the Gateway's certificate.
    urls: service -> where it is reached instead.
    ca_file: where the machine that runs Pulumi gets the authority's certificate.
    outside: services that exist already, outside the cluster."""

    stack: str
    domain: str
    gateway_class: str
    issuer: str
    api_server: str
    storage_class: str = ""
    urls: Mapping[str, str]
    ca_file: Path
    outside: Mapping[str, Outside] = field(default_factory=dict)


class KubernetesRuntime(Containers, pulumi.ComponentResource):
    """keep_data: destroy leaves the volumes."""

    clustered = True
    administrator = operators.ADMINISTRATOR

    def __init__(
        self,
        name: str,
        *,
        settings: ClusterSettings,
        images: Images,
        sizes: Mapping[str, Size],
        keep_data: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        Containers.__init__(self, images, settings.ca_file)
        pulumi.ComponentResource.__init__(
            self, "dataflow:runtime:KubernetesRuntime", name, None, opts
        )
        self._name = name
        self._settings = settings
        self._keep_data = keep_data
        self._started: set[str] = set()
        self._priorities = {
            kind: k8s.scheduling.v1.PriorityClass(
                f"{name}-priority-{kind}",
                metadata={"name": f"dataflow-{settings.stack}-{kind}"},
                value=value,
                global_default=False,
                description=f"dataflow: {kind} of stack {settings.stack}",
                opts=child_of(self),
            )
            for kind, value in PRIORITIES.items()
        }
        self._namespaces = {layer: self._namespace(layer, sizes) for layer in LAYERS}
        self._gateway = Gateway(
            f"{name}-gateway",
            stack=settings.stack,
            domain=settings.domain,
            gateway_class=settings.gateway_class,
            issuer=settings.issuer,
            opts=child_of(self),
        )
        self.register_outputs({"namespaces": [self._namespace_name(layer) for layer in LAYERS]})

    # What components ask

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        super().trust(authority, parent=parent)
        self._signing = certificates.signing(authority)
        self._issuers = {
            layer: self._issuer(layer, authority, self._signing, parent) for layer in LAYERS
        }

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        domain = f"{service}-members.{self._namespace_of(service)}.svc"
        return tuple(f"{service}-{number}.{domain}" for number in range(replicas))

    def endpoint(self, service: str, port: str) -> Endpoint:
        if there := self._settings.outside.get(service):
            address = _address(there.url)
            return Endpoint(
                host=address.host, port=address.port, scheme=address.scheme, published=address
            )
        ports = self.ports(service)
        host = f"{HOSTS.get(service, service)}.{self._namespace_of(service)}.svc"
        scheme, certified = SCHEMES.get(port, HTTP), self._is_certified(service, port)
        if certified:
            scheme = TLS_SCHEMES.get(scheme, scheme)
        inside = Address(host=host, port=ports[port], scheme=scheme)
        return Endpoint(
            host=host,
            port=ports[port],
            scheme=scheme,
            published=self._published(service, port) or inside,
            ca_file=CA_FILE if certified else None,
            truststore_file=TRUSTSTORE_FILE if certified else None,
            published_ca_file=self.published_ca_file
            if keeps_own_certificate(service, port)
            else None,
            public=public_address(service, port, self._settings.domain) if certified else None,
        )

    def _is_certified(self, service: str, port: str) -> bool:
        return self.authority is not None and (service, port) not in NOT_CERTIFIED

    def _published(self, service: str, port: str) -> Address | None:
        name = service if port == next(iter(self.ports(service))) else f"{service}-{port}"
        if url := self._settings.urls.get(name):
            return _address(url)
        return published_address(service, port, self._settings.domain)

    def service(
        self,
        service: Service,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        last = in_order(self, service, parent, depends_on, self._service)
        endpoints = {
            label: self.endpoint(service.name, label) for label in self.ports(service.name)
        }
        return RunningService(resource=last, endpoints=endpoints)

    def job(
        self,
        job: described.Job,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        component, needs, template = self._run(job, "Job", parent)
        k8s.batch.v1.Job(
            f"{job.name}-run",
            metadata=self._metadata(job.name, timeout_s=job.timeout_s),
            spec={
                "backoffLimit": JOB_RETRIES,
                "activeDeadlineSeconds": job.timeout_s,
                "template": template,
            },
            opts=pulumi.ResourceOptions.merge(
                child_of(component, depends_on=[*depends_on, *needs]),
                # A job cannot change: another one of its name takes its place.
                pulumi.ResourceOptions(delete_before_replace=True),
            ),
        )
        component.register_outputs({"name": job.name})
        return component

    def scheduled_job(
        self,
        scheduled: ScheduledJob,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        job = scheduled.job
        component, needs, template = self._run(job, "ScheduledJob", parent)
        k8s.batch.v1.CronJob(
            f"{job.name}-schedule",
            metadata=self._metadata(job.name),
            spec={
                "schedule": scheduled.schedule,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                # Missed by more, such as by a cluster that was down, it waits for its next time.
                "startingDeadlineSeconds": LATEST_START_S,
                "successfulJobsHistoryLimit": JOBS_KEPT,
                "failedJobsHistoryLimit": JOBS_KEPT,
                "jobTemplate": {
                    "metadata": {"labels": pods.labels(self._settings.stack, job.name)},
                    "spec": {
                        "backoffLimit": JOB_RETRIES,
                        "activeDeadlineSeconds": job.timeout_s,
                        "ttlSecondsAfterFinished": JOB_KEPT_S,
                        "template": template,
                    },
                },
            },
            opts=child_of(component, depends_on=[*depends_on, *needs]),
        )
        component.register_outputs({"name": job.name})
        return component

    def _run(
        self, job: described.Job, kind: str, parent: pulumi.Resource
    ) -> tuple[pulumi.ComponentResource, list[pulumi.Resource], dict[str, Any]]:
        """A job's component, what its pods need, and the template of its pods."""
        component = self._part(job, kind, parent)
        needs = [
            *self._files(job, component),
            self._account(job.name, component),
            *self._edges(job, component),
            *(self._filled_by(job, component) if job.fills else []),
        ]
        spec = pods.spec(
            job,
            self,
            stack=self._settings.stack,
            files=self._sources(job),
            keeps_data=False,
            priority=self._priority("jobs"),
            token=bool(job.fills),
        )
        return component, needs, {"metadata": self._pod_metadata(job, job.triggers), "spec": spec}

    # Namespaces

    def _namespace_name(self, layer: str) -> str:
        return f"dataflow-{self._settings.stack}-{layer}"

    def _namespace_of(self, name: str) -> str:
        return self._namespace_name(place(name).layer)

    def _priority(self, kind: str) -> pulumi.Output[str]:
        name: pulumi.Output[str] = self._priorities[kind].metadata["name"]
        return name

    def _namespace(self, layer: str, sizes: Mapping[str, Size]) -> k8s.core.v1.Namespace:
        named = self._namespace_name(layer)
        namespace = k8s.core.v1.Namespace(
            f"{self._name}-namespace-{layer}",
            metadata={"name": named, "labels": pods.namespace_labels(self._settings.stack)},
            # With a namespace everything in it goes, volumes among it.
            opts=child_of(self, keep=self._keep_data),
        )

        def inside(part: str) -> dict[str, Any]:
            return {
                "resource_name": f"{self._name}-{layer}-{part}",
                "metadata": {"name": part, "namespace": named},
                "opts": child_of(namespace),
            }

        k8s.networking.v1.NetworkPolicy(**inside("deny-all"), spec=network.deny_all())
        k8s.networking.v1.NetworkPolicy(**inside("allow-dns"), spec=network.names())
        k8s.core.v1.ResourceQuota(**inside("quota"), spec={"hard": _quota(layer, sizes)})
        k8s.core.v1.LimitRange(
            **inside("defaults"),
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "defaultRequest": pods.resources(SMALLEST)["requests"],
                        "default": pods.resources(SMALLEST)["limits"],
                    }
                ]
            },
        )
        return namespace

    # Certificates

    def _issuer(
        self, layer: str, authority: Authority, signing: Signing, parent: pulumi.Resource
    ) -> pulumi.Resource:
        """Signs as the stack's authority in one namespace; whoever may read secrets there could
        do so too. Also says there what clients trust."""
        namespace = self._namespaces[layer]

        def named(name: pulumi.Input[str], **notes: str) -> dict[str, Any]:
            return {
                "name": name,
                "namespace": self._namespace_name(layer),
                **({"annotations": notes} if notes else {}),
            }

        inside = child_of(parent, depends_on=[namespace])
        k8s.core.v1.ConfigMap(
            f"{self._name}-{layer}-authority",
            metadata=named(certificates.TRUSTED),
            **certificates.trusted(authority),
            opts=inside,
        )
        key = k8s.core.v1.Secret(
            f"{self._name}-{layer}-authority-key",
            metadata=named(signing.name),
            type="kubernetes.io/tls",
            string_data={"tls.crt": signing.certificate, "tls.key": signing.key},
            opts=inside,
        )
        version, kind = certificates.ISSUER
        made: pulumi.Resource = k8s.apiextensions.CustomResource(
            f"{self._name}-{layer}-issuer",
            api_version=version,
            kind=kind,
            metadata=named(signing.name, **{"pulumi.com/waitFor": "condition=Ready"}),
            spec={"ca": {"secretName": signing.name}},
            opts=child_of(parent, depends_on=[key]),
        )
        return made

    def _certificate(self, service: Service, component: pulumi.Resource) -> list[pulumi.Resource]:
        """Before the pods, which would wait for its Secret without a word."""
        if self.authority is None or service.certificate is None:
            return []
        needs = [self._issuers[place(service.name).layer]]
        keystore = service.certificate.keystore
        if keystore:
            needs.append(
                self._secret(
                    component,
                    certificates.keystore_secret(service.name),
                    {"password": keystore.password},
                    of=service.name,
                )
            )
        one = CustomObject(
            kind=certificates.CERTIFICATE,
            name=service.name,
            spec=certificates.certificate(
                secret=certificates.secret_of(service.name),
                hosts=self._hosts(service.name),
                addresses=certificates.LOCAL_ADDRESSES,
                issuer={"kind": certificates.ISSUER[1], "name": self._signing.name},
                labels=operators.RELOADED if service.program == "postgresql" else None,
                keystore=certificates.keystore_secret(service.name) if keystore else "",
            ),
            part="certificate",
            wait_for="Ready",
        )
        return [self._custom(component, service, one, needs)]

    def _hosts(self, service: str) -> list[str]:
        """Every name by which it is reached, of those that the authority can certify."""
        host, namespace = HOSTS.get(service, service), self._namespace_of(service)
        names = [host, *MORE_HOSTS.get(service, ())]
        inside = [f"{name}.{namespace}.{end}" for name in names for end in CLUSTER_DOMAINS]
        outside = [
            address.host
            for port in self.ports(service)
            if keeps_own_certificate(service, port)
            and (address := published_address(service, port, self._settings.domain))
        ]
        return [*inside, *outside, *certificates.LOCAL_NAMES]

    # Services

    def _service(
        self, service: Service, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        component = self._part(service, "Service", parent)
        if service.size.replicas > 1 and place(service.name).peers:
            service = replace(service, connects_to=(*service.connects_to, service.name))
        needs = [
            *depends_on,
            self._account(service.name, component),
            *self._edges(service, component),
            *self._certificate(service, component),
            *self._launched_by(service, component),
        ]
        if service.program == "postgresql":
            self._postgresql(service, component, needs)
        elif service.program == "elasticsearch":
            self._elasticsearch(service, component, needs)
        elif service.program == "prometheus":
            self._prometheus(service, component, needs)
        else:
            self._workload(service, component, needs)
        self._gateway.route(
            service.name,
            namespace=self._namespace_of(service.name),
            host=HOSTS.get(service.name, service.name),
            parent=component,
            depends_on=[self._namespaces[place(service.name).layer]],
        )
        component.register_outputs({"name": service.name})
        return component

    def _workload(
        self, service: Service, component: pulumi.Resource, needs: Sequence[pulumi.Resource]
    ) -> None:
        keeps_data = service.size.disk_gib > 0
        files = self._files(service, component)
        kind = "stores" if place(service.name).layer == "storage" else "engines"
        template = {
            "metadata": self._pod_metadata(service),
            "spec": pods.spec(
                service,
                self,
                stack=self._settings.stack,
                files=self._sources(service),
                keeps_data=keeps_data,
                priority=self._priority(kind),
                token=service.launches is not None,
            ),
        }
        common: dict[str, Any] = {
            "selector": {"matchLabels": pods.selector(self._settings.stack, service.name)},
            "template": template,
            "replicas": service.size.replicas,
            "revisionHistoryLimit": 3,
        }
        self._network_service(service, component)
        options = child_of(component, depends_on=[*needs, *files])
        metadata = self._metadata(service.name, timeout_s=READY_TIMEOUT_S)
        if keeps_data:
            self._network_service(service, component, headless=True)
            k8s.apps.v1.StatefulSet(
                f"{service.name}-pods",
                metadata=metadata,
                spec={
                    **common,
                    "serviceName": f"{service.name}-members",
                    # Replicas wait for each other: one after the other would never be ready.
                    "podManagementPolicy": "Parallel",
                    "updateStrategy": {"type": "RollingUpdate"},
                    "persistentVolumeClaimRetentionPolicy": {
                        "whenDeleted": "Retain" if self._keep_data else "Delete",
                        "whenScaled": "Retain",
                    },
                    "volumeClaimTemplates": [
                        {
                            "metadata": {"name": "data"},
                            "spec": operators.claim(
                                service.size.disk_gib, self._settings.storage_class
                            ),
                        }
                    ],
                },
                opts=options,
            )
        else:
            scales = service.size.replicas > 1
            if scales:  # from then on the number is the autoscaler's
                options = pulumi.ResourceOptions.merge(
                    options, pulumi.ResourceOptions(ignore_changes=["spec.replicas"])
                )
            k8s.apps.v1.Deployment(
                f"{service.name}-pods",
                metadata=metadata,
                spec={
                    **common,
                    "strategy": {
                        "type": "RollingUpdate",
                        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                    },
                },
                opts=options,
            )
            if scales:
                self._autoscaler(service, component)
        if service.size.replicas > 1:
            k8s.policy.v1.PodDisruptionBudget(
                f"{service.name}-disruptions",
                metadata=self._metadata(service.name),
                spec={
                    "maxUnavailable": 1,
                    "selector": common["selector"],
                },
                opts=child_of(component),
            )

    def _autoscaler(self, service: Service, component: pulumi.Resource) -> None:
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            f"{service.name}-autoscaler",
            metadata=self._metadata(service.name),
            spec={
                "scaleTargetRef": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": service.name,
                },
                "minReplicas": service.size.replicas,
                "maxReplicas": HPA_FACTOR * service.size.replicas,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {
                                "type": "Utilization",
                                "averageUtilization": HPA_CPU_PERCENT,
                            },
                        },
                    }
                ],
            },
            opts=child_of(component),
        )

    def _network_service(
        self, service: Service, component: pulumi.Resource, *, headless: bool = False
    ) -> None:
        if not service.ports:
            return
        name = f"{service.name}-members" if headless else service.name
        metadata = self._metadata(name, of=service.name)
        if headless:  # else its pods would be found, and asked for metrics, twice
            metadata["labels"] = {"dataflow/stack": self._settings.stack}
        # Its pods are waited for where they are declared. An address that waits for them as well
        # would take the engine's turn from them, and give up before a first start is over.
        metadata["annotations"] = {"pulumi.com/skipAwait": "true"}
        k8s.core.v1.Service(
            f"{name}-address",
            metadata=metadata,
            spec={
                "type": "ClusterIP",
                "selector": pods.selector(self._settings.stack, service.name),
                "ports": [
                    {"name": label, "port": port, "targetPort": port}
                    for label, port in service.ports.items()
                ],
                # Replicas find each other before they are ready.
                **({"clusterIP": "None", "publishNotReadyAddresses": True} if headless else {}),
            },
            opts=child_of(component),
        )

    # Services of operators

    def _postgresql(
        self, service: Service, component: pulumi.Resource, needs: Sequence[pulumi.Resource]
    ) -> None:
        secrets = [
            self._secret(
                component,
                operators.administrator_secret(service),
                {
                    "username": operators.ADMINISTRATOR,
                    "password": service.secret_files["superuser-password"],
                },
                of=service.name,
                kind="kubernetes.io/basic-auth",
                more_labels=operators.RELOADED,
            )
        ]
        if service.archive:
            name = operators.archive_name(service)
            keys: Mapping[str, pulumi.Input[str]] = {
                "user": service.archive.bucket.access_key,
                "key": service.archive.bucket.secret_key,
                "region": service.archive.bucket.region,
            }
            made = self._secret(component, name, keys, of=service.name)
            store = operators.archive_store(service, service.archive)
            # Before the cluster, whose pods ask for it.
            secrets += [made, self._custom(component, service, store, [*needs, made])]
        cluster = self._custom(
            component,
            service,
            operators.postgresql(
                service,
                stack=self._settings.stack,
                image=self.images.reference("cloudnative-pg"),
                storage_class=self._settings.storage_class,
            ),
            [*needs, *secrets],
        )
        if service.archive:
            self._custom(component, service, operators.daily_backup(service), [cluster])

    def _elasticsearch(
        self, service: Service, component: pulumi.Resource, needs: Sequence[pulumi.Resource]
    ) -> None:
        image = self.images.of("elasticsearch")
        # The operator takes the first password of `elastic` from here.
        secrets = [
            self._secret(
                component,
                f"{service.name}-es-elastic-user",
                {"elastic": service.secret_files["superuser-password"]},
                of=service.name,
            )
        ]
        if service.archive:
            keys = operators.keystore(service.archive)
            name = operators.archive_name(service)
            secrets.append(self._secret(component, name, keys, of=service.name))
        self._custom(
            component,
            service,
            operators.elasticsearch(
                service,
                stack=self._settings.stack,
                image=self.images.reference("elasticsearch"),
                version=image.version,
                user=image.user,
                storage_class=self._settings.storage_class,
            ),
            [*needs, *secrets],
        )

    def _prometheus(
        self, service: Service, component: pulumi.Resource, needs: Sequence[pulumi.Resource]
    ) -> None:
        image = self.images.of("prometheus")
        name = f"{service.name}-tokens"
        secrets = {pods.key_of(path): text for path, text in service.secret_files.items()}
        tokens = self._secret(component, name, secrets, of=service.name)
        needs = [*needs, tokens, *self._discovery(service, component)]
        for one in (*operators.monitors(service, secret=name), *operators.rules(service)):
            self._custom(component, service, one, needs)
        self._custom(
            component,
            service,
            operators.prometheus(
                service,
                stack=self._settings.stack,
                image=self.images.reference("prometheus"),
                version=image.version,
                user=image.user,
                storage_class=self._settings.storage_class,
            ),
            needs,
        )

    def _discovery(self, service: Service, component: pulumi.Resource) -> list[pulumi.Resource]:
        """Prometheus may see where the pods of each layer are, and nothing else."""
        made: list[pulumi.Resource] = []
        for layer in LAYERS:
            metadata = {"name": service.name, "namespace": self._namespace_name(layer)}
            role = k8s.rbac.v1.Role(
                f"{service.name}-discovery-{layer}",
                metadata=metadata,
                rules=[
                    {
                        "apiGroups": [""],
                        "resources": ["endpoints", "pods", "services"],
                        "verbs": ["get", "list", "watch"],
                    },
                    {
                        "apiGroups": ["discovery.k8s.io"],
                        "resources": ["endpointslices"],
                        "verbs": ["get", "list", "watch"],
                    },
                ],
                opts=child_of(component, depends_on=[self._namespaces[layer]]),
            )
            made.append(
                _binding(
                    f"{service.name}-discovery-{layer}",
                    metadata,
                    service.name,
                    self._namespace_of(service.name),
                    component,
                    [role],
                )
            )
        return made

    def _custom(
        self,
        component: pulumi.Resource,
        service: Service,
        one: CustomObject,
        needs: Sequence[pulumi.Resource],
    ) -> pulumi.Resource:
        version, kind = one.kind
        made: pulumi.Resource = k8s.apiextensions.CustomResource(
            f"{service.name}-{one.part or 'cluster'}",
            api_version=version,
            kind=kind,
            metadata=self._metadata(
                one.name, of=service.name, timeout_s=READY_TIMEOUT_S, wait_for=one.wait_for
            ),
            spec=one.spec,
            opts=child_of(
                component,
                depends_on=needs,
                keep=self._keep_data and one.kind in KEPT,
            ),
        )
        return made

    # Parts of every service and job

    def _part(
        self, program: Service | described.Job, kind: str, parent: pulumi.Resource
    ) -> pulumi.ComponentResource:
        if program.name in self._started:
            raise ValueError(f"service or job {program.name!r}: the name is used twice")
        self._started.add(program.name)
        return Part(f"{program.name}-{kind.lower()}", f"dataflow:runtime:{kind}", parent)

    def _metadata(
        self, name: str, *, of: str = "", timeout_s: int = 0, wait_for: str = ""
    ) -> dict[str, Any]:
        owner = of or name
        notes = {}
        if timeout_s:
            notes["pulumi.com/timeoutSeconds"] = str(timeout_s)
        if wait_for:
            notes["pulumi.com/waitFor"] = f"condition={wait_for}"
        return {
            "name": name,
            "namespace": self._namespaces[place(owner).layer].metadata["name"],
            "labels": pods.labels(self._settings.stack, owner),
            **({"annotations": notes} if notes else {}),
        }

    def _pod_metadata(
        self,
        program: Service | described.Job,
        triggers: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> dict[str, Any]:
        # Programs read once whom they trust.
        trusted = {"ca.crt": self.authority.trusted} if self.authority else {}
        audit = program.audit if isinstance(program, Service) else None
        return {
            "labels": pods.labels(self._settings.stack, program.name),
            "annotations": {
                "dataflow/files": pods.checksum(program.files, program.secret_files, trusted),
                **{f"dataflow/{name}": value for name, value in (triggers or {}).items()},
                **(audit.notes() if audit else {}),
            },
        }

    def _account(self, name: str, component: pulumi.Resource) -> pulumi.Resource:
        made: pulumi.Resource = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=self._metadata(name),
            automount_service_account_token=False,
            opts=child_of(component),
        )
        return made

    def _launched_by(
        self, service: Service, component: pulumi.Resource
    ) -> Sequence[pulumi.Resource]:
        """What the pods of a service that starts some needs: an account, edges; and its right to
        start them, in its own namespace."""
        if service.launches is None:
            return []
        return [
            self._account(service.launches.name, component),
            *self._edges(service.launches, component),
            *self._may(service.name, "pods", LAUNCHER_RIGHTS, component),
        ]

    def _filled_by(self, job: described.Job, component: pulumi.Resource) -> list[pulumi.Resource]:
        """The secret that a job fills, empty, and the job's right to do so and no more."""
        secret = self._secret(component, job.fills, {}, of=job.name)
        return [secret, *self._may(job.name, "secrets", FILLER_RIGHTS, component, job.fills)]

    def _may(
        self,
        name: str,
        kind: str,
        verbs: Sequence[str],
        component: pulumi.Resource,
        only: str = "",
    ) -> list[pulumi.Resource]:
        """What the account `name` may do with objects of a kind in its namespace. only: to one."""
        metadata = self._metadata(name)
        rule = {"apiGroups": [""], "resources": [kind], "verbs": list(verbs)}
        role = k8s.rbac.v1.Role(
            f"{name}-rights",
            metadata=metadata,
            rules=[{**rule, "resourceNames": [only]} if only else rule],
            opts=child_of(component),
        )
        return [role, _binding(name, metadata, name, self._namespace_of(name), component, [role])]

    def pods(self, launched: str) -> Pods:
        return Pods(
            namespace=self._namespace_of(launched),
            account=launched,
            labels=pods.selector(self._settings.stack, launched),
        )

    def _files(
        self, program: Service | described.Job, component: pulumi.Resource
    ) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        if program.files:
            made.append(
                k8s.core.v1.ConfigMap(
                    f"{program.name}-files",
                    metadata=self._metadata(f"{program.name}-files", of=program.name),
                    data={pods.key_of(path): text for path, text in program.files.items()},
                    opts=child_of(component),
                )
            )
        if program.secret_files:
            data = {pods.key_of(path): text for path, text in program.secret_files.items()}
            made.append(self._secret(component, f"{program.name}-secrets", data, of=program.name))
        return made

    def _sources(self, program: Service | described.Job) -> list[dict[str, Any]]:
        sources = []
        if program.files:
            sources.append(pods.source("configMap", f"{program.name}-files", program.files))
        if program.secret_files:
            sources.append(pods.source("secret", f"{program.name}-secrets", program.secret_files))
        if self.authority and isinstance(program, Service) and program.certificate:
            sources.append(certificates.source(program.name, program.certificate))
        if isinstance(program, Service):
            sources += pods.filled_sources(program.filled_files)
        return sources

    def _secret(
        self,
        component: pulumi.Resource,
        name: str,
        data: Mapping[str, pulumi.Input[str]],
        *,
        of: str,
        kind: str = "Opaque",
        more_labels: Mapping[str, str] | None = None,
    ) -> pulumi.Resource:
        metadata = self._metadata(name, of=of)
        metadata["labels"] |= more_labels or {}
        made: pulumi.Resource = k8s.core.v1.Secret(
            name,
            metadata=metadata,
            type=kind,
            string_data=dict(data) or None,  # one that others fill claims nothing
            opts=child_of(component),
        )
        return made

    def _edges(
        self, program: Service | described.Job | Launched, component: pulumi.Resource
    ) -> list[pulumi.Resource]:
        """A policy at both ends of each connection, and the exits that a program needs."""
        out: list[dict[str, Any]] = []
        made: list[pulumi.Resource] = []
        for other in program.connects_to:
            if other == GATEWAY:
                out.append(self._gateway.way_in())
                continue
            if there := self._settings.outside.get(other):
                out.append(
                    {
                        "to": [{"ipBlock": {"cidr": there.network}}],
                        "ports": network.ports_of([_address(there.url).port]),
                    }
                )
                continue
            open_ports = self._open_ports(program.name, other)
            pods_there = network.pods_of(self._settings.stack, other, self._namespace_of(other))
            out.append({"to": [pods_there], **open_ports})
            came_from = network.pods_of(
                self._settings.stack, program.name, self._namespace_of(program.name)
            )
            made.append(
                self._policy(
                    f"{other}-from-{program.name}",
                    other,
                    {"ingress": [{"from": [came_from], **open_ports}], "policyTypes": ["Ingress"]},
                    component,
                )
            )
        if program.reaches_outside:
            out.append(network.outside())
        if _works_with_api(program):
            api = {"ipBlock": {"cidr": self._settings.api_server}}
            out.append({"to": [api], "ports": network.ports_of(API_PORTS)})
        if out:
            made.append(
                self._policy(
                    f"{program.name}-to-others",
                    program.name,
                    {"egress": out, "policyTypes": ["Egress"]},
                    component,
                )
            )
        if isinstance(program, Service) and program.program in OPERATOR_PORTS:
            namespace, ports = OPERATOR_PORTS[program.program]
            rule = {"from": [network.all_of(namespace)], "ports": network.ports_of(ports)}
            made.append(
                self._policy(
                    f"{program.name}-from-operator",
                    program.name,
                    {"ingress": [rule], "policyTypes": ["Ingress"]},
                    component,
                )
            )
        return made

    def _open_ports(self, one: str, other: str) -> dict[str, Any]:
        """The ports that `one` may use of `other`; those of peers too within a product."""
        there = place(other)
        ports = {number for label, number in there.ports.items() if label not in there.inner}
        if one.partition("-")[0] == other.partition("-")[0]:
            ports |= set(there.peers)
        return {"ports": network.ports_of(ports)}

    def _policy(
        self, name: str, applies_to: str, rules: Mapping[str, Any], component: pulumi.Resource
    ) -> pulumi.Resource:
        made: pulumi.Resource = k8s.networking.v1.NetworkPolicy(
            f"{name}-policy",
            metadata=self._metadata(name, of=applies_to),
            spec={
                "podSelector": {"matchLabels": pods.selector(self._settings.stack, applies_to)},
                **rules,
            },
            opts=child_of(component),
        )
        return made


# Their pods work with the API server: a failover, finding targets.
WORKS_WITH_API = frozenset({"postgresql", "prometheus"})
KEPT = frozenset({operators.CLUSTER, operators.ELASTICSEARCH})


def _works_with_api(program: Service | described.Job | Launched) -> bool:
    if isinstance(program, described.Job):
        return bool(program.fills)
    if isinstance(program, Service):
        return program.program in WORKS_WITH_API or program.launches is not None
    return False


def _binding(
    name: str,
    metadata: Mapping[str, Any],
    account: str,
    namespace: str,
    component: pulumi.Resource,
    needs: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    """Gives the role that is called like the account to it. namespace: of the account."""
    made: pulumi.Resource = k8s.rbac.v1.RoleBinding(
        f"{name}-binding",
        metadata=metadata,
        role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        opts=child_of(component, depends_on=needs),
    )
    return made


def _quota(layer: str, sizes: Mapping[str, Size]) -> dict[str, str]:
    """Room for every service of the layer and its jobs, and a stop for everything else."""
    here = [size for name, size in sizes.items() if place(name).layer == layer]
    cores = QUOTA_FACTOR * (2 + sum(size.cores * size.replicas for size in here))
    memory = QUOTA_FACTOR * (4096 + sum(size.memory_mib * size.replicas for size in here))
    return {
        "requests.cpu": f"{cores:g}",
        "requests.memory": f"{memory}Mi",
        "limits.cpu": f"{pods.CPU_BURST * cores:g}",
        "limits.memory": f"{memory}Mi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def _address(url: str) -> Address:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80, "postgresql": 5432}.get(parts.scheme)
    port = parts.port or default
    if not parts.hostname or port is None:
        raise ValueError(f"{url!r}: expected scheme://host:port")
    return Address(host=parts.hostname, port=port, scheme=parts.scheme)
