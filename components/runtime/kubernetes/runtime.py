"""The runtime of a cluster: what components ask, and which module of this folder answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pulumi

from components.options import child_of
from components.runtime import service as described
from components.runtime.catalog import LAYERS, place
from components.runtime.containers import Containers, Part, in_order
from components.runtime.kubernetes import (
    addresses,
    certificates,
    elasticsearch,
    jobs,
    network,
    postgresql,
    prometheus,
    rbac,
    workloads,
)
from components.runtime.kubernetes.certificates import Issuers
from components.runtime.kubernetes.cluster import Cluster
from components.runtime.kubernetes.gateway import Gateway
from components.runtime.kubernetes.namespaces import namespaces, priorities
from components.runtime.kubernetes.settings import ClusterSettings
from components.runtime.service import (
    Authority,
    Endpoint,
    Pods,
    RunningService,
    ScheduledJob,
    Service,
)
from components.sizing import Size
from services.images import Images

Declare = Callable[[Cluster, Service, pulumi.Resource, Sequence[pulumi.Resource]], None]
# program -> what declares it; every other is a workload of our own.
OPERATED: Mapping[str, Declare] = {
    "elasticsearch": elasticsearch.declare,
    "postgresql": postgresql.declare,
    "prometheus": prometheus.declare,
}


class KubernetesRuntime(Containers, pulumi.ComponentResource):
    """keep_data: destroy leaves the volumes."""

    clustered = True
    administrator = postgresql.ADMINISTRATOR

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
        self._started: set[str] = set()
        self._issuers: Issuers | None = None
        self._cluster = Cluster(
            settings=settings,
            containers=self,
            priorities=priorities(name, self, settings.stack),
            namespaces=namespaces(name, self, settings, sizes, keep=keep_data),
            keep_data=keep_data,
        )
        self._gateway = Gateway(f"{name}-gateway", settings=settings, opts=child_of(self))
        self.register_outputs({"namespaces": [settings.namespace(layer) for layer in LAYERS]})

    def trust(self, authority: Authority, *, parent: pulumi.Resource) -> None:
        super().trust(authority, parent=parent)
        self._issuers = certificates.issuers(self._name, parent, self._cluster, authority)

    def members(self, service: str, replicas: int) -> tuple[str, ...]:
        return addresses.members(self._settings, service, replicas)

    def endpoint(self, service: str, port: str) -> Endpoint:
        return addresses.endpoint(
            self._settings,
            service,
            port,
            secure=self.authority is not None,
            ca_file=self.published_ca_file,
        )

    def pods(self, launched: str) -> Pods:
        return Pods(
            namespace=self._settings.namespace_of(launched),
            account=launched,
            labels=self._cluster.selector(launched),
        )

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
        component = self._part(job, "Job", parent)
        jobs.once(self._cluster, job, component, depends_on)
        component.register_outputs({"name": job.name})
        return component

    def scheduled_job(
        self,
        scheduled: ScheduledJob,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        component = self._part(scheduled.job, "ScheduledJob", parent)
        jobs.scheduled(self._cluster, scheduled, component, depends_on)
        component.register_outputs({"name": scheduled.job.name})
        return component

    def _service(
        self, service: Service, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        component = self._part(service, "Service", parent)
        if service.size.replicas > 1 and place(service.name).peers:
            service = replace(service, connects_to=(*service.connects_to, service.name))
        needs = [*depends_on, *self._needs(service, component)]
        declare = OPERATED.get(service.program, workloads.declare)
        declare(self._cluster, service, component, needs)
        namespace = self._cluster.namespace_of(service.name)
        self._gateway.route(service.name, parent=component, depends_on=[namespace])
        component.register_outputs({"name": service.name})
        return component

    def _needs(self, service: Service, component: pulumi.Resource) -> list[pulumi.Resource]:
        """What is there before its pods, and before those that it starts by itself."""
        cluster = self._cluster
        needs = [
            rbac.account(cluster, service.name, component),
            *network.edges(cluster, service, component),
        ]
        if self._issuers:
            needs += certificates.certified(cluster, self._issuers, service, component)
        if service.launches:
            needs.append(rbac.account(cluster, service.launches.name, component))
            needs += network.edges(cluster, service.launches, component)
            needs += rbac.launching(cluster, service.name, component)
        return needs

    def _part(
        self, program: Service | described.Job, kind: str, parent: pulumi.Resource
    ) -> pulumi.ComponentResource:
        if program.name in self._started:
            raise ValueError(f"service or job {program.name!r}: the name is used twice")
        self._started.add(program.name)
        return Part(f"{program.name}-{kind.lower()}", f"dataflow:runtime:{kind}", parent)
