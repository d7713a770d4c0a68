"""Airbyte-compatible control plane and connectors."""
