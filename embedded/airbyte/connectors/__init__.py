"""Connectors: own executables that speak the Airbyte protocol."""
