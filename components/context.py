"""What every component of a stack needs."""

from dataclasses import dataclass

from components.runtime.service import Runtime
from components.security.credentials import Credentials


@dataclass(frozen=True, kw_only=True)
class Context:
    """runtime: runs services and jobs. port_offset: added to every port.
    keep_data: destroy leaves databases, buckets and indices on disk."""

    runtime: Runtime
    credentials: Credentials
    port_offset: int
    keep_data: bool
