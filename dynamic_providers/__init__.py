"""Resources that no official provider models: pure handlers and their Pulumi adapters."""
