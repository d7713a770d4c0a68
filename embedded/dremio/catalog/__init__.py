"""Spaces, folders, sources, datasets and views."""
