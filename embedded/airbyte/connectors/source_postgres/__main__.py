"""`python -m embedded.airbyte.connectors.source_postgres spec|check|discover|read`."""

from collections.abc import Mapping
from typing import Any

from embedded.airbyte import protocol
from embedded.airbyte.connectors import runtime
from embedded.airbyte.connectors.source_postgres import catalog, read, settings


class SourcePostgres:
    def spec(self) -> dict[str, Any]:
        return runtime.load_spec(__file__)

    def check(self, config: Mapping[str, Any]) -> None:
        parsed = settings.parse(config)
        with settings.connect(parsed) as connection:
            known = {row[0] for row in connection.execute("SELECT nspname FROM pg_namespace")}
        unknown = [schema for schema in parsed.schemas if schema not in known]
        if unknown:
            raise runtime.ConnectorError(f"schemas: {unknown!r}: not in {parsed.database!r}")

    def discover(self, config: Mapping[str, Any]) -> dict[str, Any]:
        parsed = settings.parse(config)
        with settings.connect(parsed) as connection:
            found = catalog.tables(connection, parsed.schemas)
        return {"streams": [table.stream() for table in found.values()]}

    def run(
        self, config: Mapping[str, Any], catalog_: Mapping[str, Any], state: list[dict[str, Any]]
    ) -> None:
        parsed = settings.parse(config)
        states = {protocol.state_key(s): s["stream"].get("stream_state") for s in state}
        with settings.connect(parsed) as connection:
            found = catalog.tables(connection, parsed.schemas)
            connection.commit()  # each stream reads in a snapshot of its own
            for configured in catalog_["streams"]:
                key = protocol.stream_key(configured["stream"])
                read.read_stream(connection, found, configured, states.get(key), parsed.batch_size)


if __name__ == "__main__":
    runtime.main(SourcePostgres(), settings.classify)
