"""The tokens of pulumi_elasticstack: templates, life cycles, roles, users, settings."""
