"""The elasticstack plugin as data."""

from typing import Any

from dynamic_providers.handler import Props
from plugins.elasticstack.cluster_settings import ClusterSettings
from plugins.elasticstack.component_template import ComponentTemplate
from plugins.elasticstack.index_lifecycle import IndexLifecycle
from plugins.elasticstack.index_template import IndexTemplate
from plugins.elasticstack.security_role import SecurityRole
from plugins.elasticstack.security_user import SecurityUser
from plugins.elasticstack.snapshot_lifecycle import SnapshotLifecycle
from plugins.elasticstack.snapshot_repository import SnapshotRepository
from plugins.provider import Plugin


def _connect(settings: Props) -> Any:
    from plugins.elasticstack.client import connect  # late: the engine must be answered first

    return connect(settings)


PLUGIN = Plugin(
    name="elasticstack",
    sdk="pulumi_elasticstack",
    connect=_connect,
    secret_settings=frozenset({"elasticsearch"}),
    absent={},
    handlers={
        "elasticstack:index/clusterSettings:ClusterSettings": ClusterSettings(),
        "elasticstack:index/componentTemplate:ComponentTemplate": ComponentTemplate(),
        "elasticstack:index/indexLifecycle:IndexLifecycle": IndexLifecycle(),
        "elasticstack:index/indexTemplate:IndexTemplate": IndexTemplate(),
        "elasticstack:index/securityRole:SecurityRole": SecurityRole(),
        "elasticstack:index/securityUser:SecurityUser": SecurityUser(),
        "elasticstack:index/snapshotLifecycle:SnapshotLifecycle": SnapshotLifecycle(),
        "elasticstack:index/snapshotRepository:SnapshotRepository": SnapshotRepository(),
    },
)
