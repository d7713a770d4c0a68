"""Airbyte: workspaces, connector definitions, sources, destinations, connections, tags, syncs.

Against the public API of platform 1.2 to 2.1 (definitions from 1.8, tags from 1.6); the Config
API only where the server is seen to answer it. Left out, because the community edition's API
lacks them: permissions and user groups; the data residency of a connection (it is deprecated and
never returned: choose the region of the Workspace instead).
"""
