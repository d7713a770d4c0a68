"""Credentials and access."""
