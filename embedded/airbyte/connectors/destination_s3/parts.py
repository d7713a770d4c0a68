"""Local files of one stream that become objects: Parquet or JSON lines."""

import gzip
import tempfile
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from embedded.airbyte.connectors.destination_s3.records import RecordLines, RecordTable
from embedded.airbyte.connectors.destination_s3.settings import (
    ROW_GROUP_ROWS,
    JsonlFormat,
    ParquetFormat,
)

CONVERT_BYTES = 8 << 20  # of record lines turned into Arrow at a time


class Part(Protocol):
    """One file. memory: bytes not yet in it."""

    path: Path
    content_type: str

    def add(self, lines: bytes, count: int) -> None: ...

    @property
    def memory(self) -> int: ...

    def spill(self) -> None:
        """Moves what is in memory to the file."""

    def size(self) -> int: ...

    def close(self) -> None: ...


class ParquetPart:
    content_type = "application/vnd.apache.parquet"

    def __init__(self, records: RecordTable, options: ParquetFormat) -> None:
        self.path = _new_file(options.extension)
        self._records = records
        self._options = options
        self._lines: list[bytes] = []
        self._line_bytes = 0
        self._line_count = 0
        self._tables: list[pa.Table] = []
        self._table_bytes = 0
        self._table_rows = 0
        self._writer = pq.ParquetWriter(
            str(self.path),
            records.schema,
            compression=options.codec,
            use_dictionary=options.dictionary,
            data_page_size=options.page_bytes,
            dictionary_pagesize_limit=options.dictionary_page_bytes,
            write_statistics=True,
        )

    @property
    def memory(self) -> int:
        return self._line_bytes + self._table_bytes

    def add(self, lines: bytes, count: int) -> None:
        self._lines.append(lines)
        self._line_bytes += len(lines)
        self._line_count += count
        if self._line_bytes >= CONVERT_BYTES:
            self._convert()
            full = self._table_bytes >= self._options.row_group_bytes
            if full or self._table_rows >= ROW_GROUP_ROWS:
                self.spill()

    def _convert(self) -> None:
        if not self._lines:
            return
        table = self._records.convert(b"".join(self._lines), self._line_count)
        self._lines, self._line_bytes, self._line_count = [], 0, 0
        self._tables.append(table)
        self._table_bytes += table.nbytes
        self._table_rows += table.num_rows

    def spill(self) -> None:
        self._convert()
        if self._tables:
            table = pa.concat_tables(self._tables)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            self._tables, self._table_bytes, self._table_rows = [], 0, 0

    def size(self) -> int:
        return self.path.stat().st_size

    def close(self) -> None:
        self.spill()
        self._writer.close()


class JsonlPart:
    content_type = "application/x-ndjson"
    memory = 0

    def __init__(self, records: RecordLines, options: JsonlFormat) -> None:
        self.path = _new_file(options.extension)
        self._records = records
        self._file = cast(
            BinaryIO, gzip.open(self.path, "wb") if options.gzip else self.path.open("wb")
        )

    def add(self, lines: bytes, count: int) -> None:
        self._file.write(self._records.convert(lines))

    def spill(self) -> None:
        self._file.flush()

    def size(self) -> int:
        return self.path.stat().st_size

    def close(self) -> None:
        self._file.close()


def _new_file(extension: str) -> Path:
    handle, path = tempfile.mkstemp(prefix="part-", suffix=extension)
    open(handle, "wb").close()
    return Path(path)
