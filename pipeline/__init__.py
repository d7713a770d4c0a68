"""Runs a data flow: sync, dbt, reflections, dashboards; by schedule or on demand."""
