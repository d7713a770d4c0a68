"""The official kubernetes plugin's types, for any group, version and kind that the API serves."""
