"""The postgresql plugin as data."""

from typing import Any

from dynamic_providers.handler import Props
from plugins.postgresql.database import Database
from plugins.postgresql.default_privileges import DefaultPrivileges
from plugins.postgresql.grant import Grant
from plugins.postgresql.role import Role
from plugins.postgresql.schema import Schema
from plugins.provider import Plugin


def _connect(settings: Props) -> Any:
    from plugins.postgresql.client import connect  # late: the plugin must answer the engine first

    return connect(settings)


PLUGIN = Plugin(
    name="postgresql",
    sdk="pulumi_postgresql",
    connect=_connect,
    secret_settings=frozenset({"password"}),
    absent={},
    handlers={
        "postgresql:index/database:Database": Database(),
        "postgresql:index/defaultPrivileges:DefaultPrivileges": DefaultPrivileges(),
        "postgresql:index/grant:Grant": Grant(),
        "postgresql:index/role:Role": Role(),
        "postgresql:index/schema:Schema": Schema(),
    },
)
