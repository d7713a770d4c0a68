"""The tokens of pulumi_minio: buckets, their policies and life cycles, and access."""
