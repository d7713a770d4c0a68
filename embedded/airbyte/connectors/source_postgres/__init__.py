"""PostgreSQL source: full refresh and incremental by cursor."""
