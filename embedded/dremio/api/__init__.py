"""REST: /apiv2 and /api/v3."""
