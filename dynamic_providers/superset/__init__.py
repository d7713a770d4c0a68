"""Superset: databases, datasets, charts and dashboards."""
