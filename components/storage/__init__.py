"""Storage layer: object store, PostgreSQL and Elasticsearch."""
