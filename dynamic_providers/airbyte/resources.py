"""Airbyte's objects as Pulumi resources. The id of each is the one that Airbyte gives it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi

from dynamic_providers.adapter import DynamicResource, HandlerProvider
from dynamic_providers.airbyte import (
    connection,
    declarative_definition,
    destination,
    destination_definition,
    source,
    source_definition,
    sync,
    tag,
    workspace,
)
from dynamic_providers.airbyte.client import CLIENT_ID, SECRET_NAME, AirbyteClient
from dynamic_providers.handler import Handler
from dynamic_providers.stack import Stack


class AirbyteProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> AirbyteClient:
        user, secret = stack.login("airbyte", CLIENT_ID, SECRET_NAME)
        verify = stack.trust("airbyte")
        return AirbyteClient(stack.url("airbyte"), secret, client_id=user, verify=verify)


class WorkspaceProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = workspace


class SourceDefinitionProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = source_definition


class DestinationDefinitionProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = destination_definition


class DeclarativeDefinitionProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = declarative_definition


class TagProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = tag


class SourceProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = source


class DestinationProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = destination


class ConnectionProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = connection


class SyncProvider(AirbyteProvider):
    handler: ClassVar[Handler[AirbyteClient]] = sync


class Workspace(DynamicResource):
    """A workspace. One with sources or destinations in it is not deleted.

    notifications: as the API spells them; only keys set here are compared.
    organization_id, region_id: on editions that have them; fixed once the workspace exists.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        notifications: pulumi.Input[Mapping[str, Any]] | None = None,
        organization_id: pulumi.Input[str] | None = None,
        region_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "notifications": notifications,
            "organizationId": organization_id,
            "regionId": region_id,
        }
        super().__init__(WorkspaceProvider, resource_name, props, opts)

    @property
    def workspace_id(self) -> pulumi.Output[str]:
        return self.id


class _ImageDefinition(DynamicResource):
    _adapter: ClassVar[type[AirbyteProvider]]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        docker_repository: pulumi.Input[str],
        docker_image_tag: pulumi.Input[str],
        documentation_url: pulumi.Input[str] | None = None,
        workspace_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "dockerRepository": docker_repository,
            "dockerImageTag": docker_image_tag,
            "documentationUrl": documentation_url,
            "workspaceId": workspace_id,
        }
        super().__init__(self._adapter, resource_name, props, opts)

    @property
    def definition_id(self) -> pulumi.Output[str]:
        return self.id


class SourceDefinition(_ImageDefinition):
    """A custom source connector: an image that speaks the Airbyte protocol.

    Name and tag change in place; another repository or documentation_url is a replacement.
    """

    _adapter = SourceDefinitionProvider


class DestinationDefinition(_ImageDefinition):
    """A custom destination connector; otherwise as SourceDefinition."""

    _adapter = DestinationDefinitionProvider


class DeclarativeDefinition(DynamicResource):
    """A low-code source connector.

    manifest: type DeclarativeSource, version, check, and streams or dynamic_streams. Another
    name is a replacement: the API changes the manifest alone.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        manifest: pulumi.Input[Mapping[str, Any]],
        workspace_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "manifest": manifest, "workspaceId": workspace_id}
        super().__init__(DeclarativeDefinitionProvider, resource_name, props, opts)

    @property
    def definition_id(self) -> pulumi.Output[str]:
        return self.id


class Tag(DynamicResource):
    """A coloured label for connections.

    color: six hexadecimal digits.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        color: pulumi.Input[str] | None = None,
        workspace_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "color": color, "workspaceId": workspace_id}
        super().__init__(TagProvider, resource_name, props, opts)

    @property
    def tag_id(self) -> pulumi.Output[str]:
        return self.id


class Source(DynamicResource):
    """A source connector with its configuration.

    configuration: settings of the connector, `sourceType` among them unless definition_id is
    given. Only keys set here are compared with the server. With a connector of
    `specifications`, it is checked in the preview, and what it says is secret is secret; of
    other connectors, the whole configuration is.
    workspace_id: default the first workspace of the instance.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        configuration: pulumi.Input[Mapping[str, Any]],
        definition_id: pulumi.Input[str] | None = None,
        workspace_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "configuration": source.marked_secrets(
                configuration, definition_id, pulumi.Output.secret
            ),
            "definitionId": definition_id,
            "workspaceId": workspace_id,
        }
        super().__init__(SourceProvider, resource_name, props, opts, marked=source.SECRETS)

    @property
    def source_id(self) -> pulumi.Output[str]:
        return self.id


class Destination(DynamicResource):
    """A destination connector with its configuration.

    configuration: as for Source, with `destinationType`.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        configuration: pulumi.Input[Mapping[str, Any]],
        definition_id: pulumi.Input[str] | None = None,
        workspace_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "configuration": destination.marked_secrets(
                configuration, definition_id, pulumi.Output.secret
            ),
            "definitionId": definition_id,
            "workspaceId": workspace_id,
        }
        super().__init__(
            DestinationProvider, resource_name, props, opts, marked=destination.SECRETS
        )

    @property
    def destination_id(self) -> pulumi.Output[str]:
        return self.id


class Connection(DynamicResource):
    """Which streams go from a source to a destination, how and when.

    streams: objects with name, syncMode (connection.SYNC_MODES), and as needed namespace,
    cursorField, primaryKey, selectedFields. What the source defines itself may be left out.
    schedule: {"scheduleType": "manual"}; or "cron" with a Quartz cronExpression, in UTC; and
    where the server offers the Config API, "cron" with a cronTimeZone, or "basic" with units and
    timeUnit (schedule.TIME_UNITS).
    tags: ids of Tags.
    A connection that leaves the program is deleted with its state: `protect` it against that.
    allow_reset: accepts that incremental streams forget how far they were read, and are synced
    from the start: when the source or the destination is another one, a stream is removed, or its
    syncMode, cursorField or primaryKey changes. Otherwise such a change fails in the preview.
    destination_type: such as "s3". With it, a sync mode that the destination cannot do is
    refused in the preview, not by the server.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        source_id: pulumi.Input[str],
        destination_id: pulumi.Input[str],
        streams: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]],
        schedule: pulumi.Input[Mapping[str, Any]] | None = None,
        namespace_definition: pulumi.Input[str] | None = None,
        namespace_format: pulumi.Input[str] | None = None,
        prefix: pulumi.Input[str] | None = None,
        non_breaking_schema_updates_behavior: pulumi.Input[str] | None = None,
        status: pulumi.Input[str] | None = None,
        tags: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        allow_reset: pulumi.Input[bool] | None = None,
        destination_type: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "sourceId": source_id,
            "destinationId": destination_id,
            "streams": streams,
            "schedule": schedule,
            "namespaceDefinition": namespace_definition,
            "namespaceFormat": namespace_format,
            "prefix": prefix,
            "nonBreakingSchemaUpdatesBehavior": non_breaking_schema_updates_behavior,
            "status": status,
            "tags": tags,
            "allowReset": allow_reset,
            "destinationType": destination_type,
        }
        super().__init__(ConnectionProvider, resource_name, props, opts)

    @property
    def connection_id(self) -> pulumi.Output[str]:
        return self.id


class Sync(DynamicResource):
    """One sync, run when the resource is created and when `triggers` change. Its id is the
    connection's.

    triggers: any values. timeout_s: how long to wait for the end, default 3600.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        connection_id: pulumi.Input[str],
        triggers: pulumi.Input[Mapping[str, Any]] | None = None,
        timeout_s: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"connectionId": connection_id, "triggers": triggers, "timeoutS": timeout_s}
        super().__init__(SyncProvider, resource_name, props, opts)
