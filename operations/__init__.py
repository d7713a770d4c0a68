"""Backup, restore and migration of a stack's data."""
