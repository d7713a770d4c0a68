"""Observability: metrics of every service."""
