"""Logs: JSON lines on stderr, and the audit log of queries in the data directory."""

import logging
import logging.handlers
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

QUERY_LOG_DAYS = 90  # design, "Security baseline": audit log of queries kept 90 days


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["stackTrace"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def configure() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class QueryLog:
    """`queries.json`: one JSON object per finished query, as the product writes it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._handler = logging.handlers.TimedRotatingFileHandler(
            folder / "queries.json", when="midnight", backupCount=QUERY_LOG_DAYS, utc=True
        )

    def write(self, entry: Mapping[str, Any]) -> None:
        text = orjson.dumps(entry).decode()
        self._handler.handle(logging.LogRecord("queries", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        self._handler.close()
