"""The tokens of pulumi_elasticstack: templates, roles, users and cluster settings."""
