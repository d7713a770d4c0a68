"""Services as pods of a cluster.

Per layer a namespace that admits `restricted` pods only, closed to everything but DNS, with a
quota and default limits. PostgreSQL, Elasticsearch and Prometheus are custom resources of their
operators, which must run already (docs/deploy/prod.md); the rest are workloads of our own.
Pulumi and users come through one Gateway.
"""

from components.runtime.kubernetes.runtime import KubernetesRuntime
from components.runtime.kubernetes.settings import ClusterSettings, Outside

__all__ = ["ClusterSettings", "KubernetesRuntime", "Outside"]
