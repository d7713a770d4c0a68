"""The tokens of pulumi_elasticstack: templates, life cycles, snapshots, roles, users, settings."""
