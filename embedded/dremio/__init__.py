"""A query engine that speaks Dremio: REST on one port, Arrow Flight and Flight SQL on another.

DuckDB executes; sqlglot parses. The reference is Dremio 25.2/26.0 Community; clients written
for it (dbt-dremio, sqlalchemy_dremio, ADBC Flight SQL, pyarrow) work unchanged on what is
covered, and get the product's error shape on what is not.
"""
