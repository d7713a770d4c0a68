"""Durable state: JSON documents in one SQLite file."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

Document = dict[str, Any]


class Store:
    """Documents by (kind, id). Thread-safe; each call is durable when it returns."""

    def __init__(self, path: Path) -> None:
        # Sources hold credentials: nobody else may read the file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS document"
            " (kind TEXT, id TEXT, body BLOB, PRIMARY KEY (kind, id)) WITHOUT ROWID"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen, or none."""
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def put(self, kind: str, id_: str, body: Document) -> None:
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (kind, id_, orjson.dumps(body))
            )

    def get(self, kind: str, id_: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM document WHERE kind = ? AND id = ?", (kind, id_)
            ).fetchone()
        return orjson.loads(row[0]) if row else None

    def delete(self, kind: str, id_: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, id_))

    def all(self, kind: str) -> dict[str, Document]:
        with self._lock:
            rows = self._db.execute(
                "SELECT id, body FROM document WHERE kind = ?", (kind,)
            ).fetchall()
        return {id_: orjson.loads(body) for id_, body in rows}

    def close(self) -> None:
        with self._lock:
            self._db.close()
