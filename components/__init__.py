"""Pulumi components of the platform, one folder per layer of the specification."""
