"""Dremio SQL: parsing, planning, translation to DuckDB, statements."""
