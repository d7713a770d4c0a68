"""Airbyte: sources, destinations, connections and their first syncs."""
