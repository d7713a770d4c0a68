"""Dremio: first user, catalog and reflections."""
