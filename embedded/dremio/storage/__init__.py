"""Where state, objects and query execution live: SQLite, S3, DuckDB."""
