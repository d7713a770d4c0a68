"""Certificates and TLS contexts of a stack: no product, no Pulumi."""
