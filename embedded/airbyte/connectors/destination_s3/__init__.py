"""S3 destination: Parquet and JSONL objects, overwrite by generations, append."""
