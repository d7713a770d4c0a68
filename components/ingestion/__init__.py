"""Ingestion layer: Airbyte and its connections."""
