"""Processing layer: Dremio, dbt and the pipeline that runs them."""
