"""The tokens of pulumi_postgresql: databases, schemas, roles and grants."""
