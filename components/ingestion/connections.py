"""Connections: one per source of the flow, from the source into its folder in bronze.

Creates an Airbyte source, destination and connection for each, and runs the first sync, so that
the datasets and models downstream have files to be built on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.context import Context
from components.options import child_of
from components.runtime.service import Bucket
from dynamic_providers.airbyte.resources import Connection, Destination, Sync
from dynamic_providers.airbyte.resources import Source as AirbyteSource
from flow.derive import BUCKET, connection_stream, landing_prefix
from flow.model import DataFlow, FileFormat, Source

STORE_USER = "airbyte"


@dataclass(frozen=True, kw_only=True)
class SourceSystem:
    """Address and credentials of a source: Airbyte connector settings that the flow leaves open.

    ready: what must exist before it can be read.
    """

    configuration: Mapping[str, pulumi.Input[Any]]
    ready: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True, kw_only=True)
class ConnectionsArgs:
    """systems: source name -> where it is; a source without settings of its own needs none.
    allow_reset: whether a change may lose the state of incremental streams."""

    context: Context
    flow: DataFlow
    bucket: Bucket
    systems: Mapping[str, SourceSystem]
    allow_reset: bool
    depends_on: Sequence[pulumi.Resource]


class Connections(pulumi.ComponentResource):
    connections: dict[str, Connection]  # source name -> its connection
    first_syncs: dict[str, Sync]  # source name -> done when bronze holds its data

    def __init__(
        self, name: str, args: ConnectionsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:ingestion:Connections", name, None, opts)
        self.connections = {}
        self.first_syncs = {}
        for source in args.flow.sources:
            connection = self._connection(f"{name}-{source.name}", source, args)
            self.connections[source.name] = connection
            self.first_syncs[source.name] = Sync(
                f"{name}-{source.name}-first-sync",
                connection_id=connection.connection_id,
                # A stream that joins later needs files before it can be a dataset.
                triggers={"streams": ",".join(s.name for s in args.flow.streams_of(source.name))},
                opts=child_of(self, depends_on=[connection]),
            )
        self.register_outputs(
            {
                "connectionIds": {
                    source: connection.connection_id
                    for source, connection in self.connections.items()
                }
            }
        )

    def _connection(self, name: str, source: Source, args: ConnectionsArgs) -> Connection:
        system = args.systems.get(source.name, SourceSystem(configuration={}))
        airbyte_source = AirbyteSource(
            f"{name}-source",
            name=source.name,
            configuration={
                "sourceType": source.connector,
                **source.configuration,
                **system.configuration,
            },
            opts=child_of(self, depends_on=[*args.depends_on, *system.ready]),
        )
        destination = Destination(
            f"{name}-destination",
            name=f"{BUCKET}-{source.name}",
            configuration=_s3_destination(source, args),
            opts=child_of(self, depends_on=args.depends_on),
        )
        return Connection(
            name,
            name=source.name,
            source_id=airbyte_source.source_id,
            destination_id=destination.destination_id,
            streams=[connection_stream(stream) for stream in args.flow.streams_of(source.name)],
            destination_type="s3",
            allow_reset=args.allow_reset,
            schedule={"scheduleType": "manual"},  # the pipeline syncs before it transforms
            opts=child_of(self, depends_on=[airbyte_source, destination]),
        )


def _s3_destination(source: Source, args: ConnectionsArgs) -> dict[str, pulumi.Input[Any]]:
    return {
        "destinationType": "s3",
        "s3_bucket_name": args.bucket.name,
        "s3_bucket_path": landing_prefix(source),
        "s3_bucket_region": args.bucket.region,
        "s3_endpoint": args.bucket.endpoint.url,
        "access_key_id": args.bucket.access_key,
        "secret_access_key": args.bucket.secret_key,
        "s3_path_format": f"${{STREAM_NAME}}/{source.partition}/",
        **_files(source.file_format),
    }


def _files(file_format: FileFormat) -> dict[str, Any]:
    """Specification, "Data Path Structure", "Storage Format Strategy", "Storage Optimization"."""
    if file_format is FileFormat.JSONL:
        return {
            "file_name_pattern": "response_{part_number}.json",
            "format": {"format_type": "JSONL"},
        }
    return {
        "format": {
            "format_type": "Parquet",
            "compression_codec": "SNAPPY",
            "dictionary_encoding": True,
            "page_size_kb": 1024,
        }
    }
