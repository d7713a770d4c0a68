"""Services as pods of a cluster.

Per layer a namespace that admits `restricted` pods only, closed to everything but DNS, with a
quota and default limits. PostgreSQL, Elasticsearch and Prometheus are custom resources of their
operators, which must run already (docs/deploy/prod.md); the rest are workloads of our own.
Pulumi and users come through one Gateway.

runtime.py answers what components ask, with the help of a module per concern: namespaces and
priorities, rbac, network (policies), certificates, gateway; configuration and pods, of which
workloads and jobs are made; and postgresql, elasticsearch and prometheus for the operators.
cluster.py has what all of them share; settings, addresses and labels are plain values.
"""

from components.runtime.kubernetes.runtime import KubernetesRuntime
from components.runtime.kubernetes.settings import ClusterSettings, Outside

__all__ = ["ClusterSettings", "KubernetesRuntime", "Outside"]
