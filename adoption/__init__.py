"""Adoption of what exists: live Airbyte, Dremio and Superset read into a flow and a list.

The engine cannot import dynamic resources, but their `create` takes over an object that has the
same natural key. So the list holds the inputs with which that changes nothing.
"""
