"""`python -m embedded.airbyte.connectors.destination_s3 spec|check|write`."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from embedded.airbyte import protocol
from embedded.airbyte.connectors import runtime
from embedded.airbyte.connectors.destination_s3 import objects, settings
from embedded.airbyte.connectors.destination_s3.writer import Writer


class DestinationS3:
    WRITES = True

    def spec(self) -> dict[str, Any]:
        return runtime.load_spec(__file__)

    def check(self, config: Mapping[str, Any]) -> None:
        parsed = settings.parse(config)
        folder = parsed.path_format.split("$")[0].rpartition("/")[0]
        objects.Objects(parsed).check(f"{folder}/")

    def discover(self, config: Mapping[str, Any]) -> dict[str, Any]:
        raise runtime.ConnectorError("a destination has no catalog")

    def run(
        self, config: Mapping[str, Any], catalog: Mapping[str, Any], state: list[dict[str, Any]]
    ) -> None:
        parsed = settings.parse(config)
        writer = Writer(catalog, parsed, objects.Objects(parsed), datetime.now(UTC))
        runs = protocol.LineRuns()
        while chunk := os.read(0, protocol.READ_BYTES):
            for part in runs.feed(chunk):
                _take(writer, part)
        for part in runs.close():
            _take(writer, part)
        writer.finish()


def _take(writer: Writer, part: protocol.Run | protocol.Line) -> None:
    if isinstance(part, protocol.Run):
        writer.records(part)
    elif (message := protocol.parse_line(part.text)) is not None:
        writer.message(message)


if __name__ == "__main__":
    runtime.main(DestinationS3(), objects.classify)
