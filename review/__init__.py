"""From `pulumi preview --json` to a comment for people: data, losses, costs, policies, security.

Everything but `live` (which asks running services), `repository` (which asks git) and `cli` is
pure: the same input gives the same text.
"""
