"""Presentation layer: Superset and its dashboards."""
