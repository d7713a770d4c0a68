"""What every component of a stack needs."""

from dataclasses import dataclass

from components.runtime.service import Runtime
from components.security.credentials import Credentials


@dataclass(frozen=True, kw_only=True)
class Context:
    """runtime: runs services and jobs.
    keep_data: destroy leaves databases, buckets and indices on disk."""

    runtime: Runtime
    credentials: Credentials
    keep_data: bool
