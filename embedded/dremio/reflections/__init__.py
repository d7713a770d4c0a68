"""Materialised reflections: definition, refresh, matching."""
