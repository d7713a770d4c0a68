"""What every component of a stack needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.runtime.service import Runtime
from components.security.credentials import Credentials
from components.sizing import Size


@dataclass(frozen=True, kw_only=True)
class Context:
    """runtime: runs services and jobs. sizes: service -> how large it is.
    authority: what clients trust, in PEM: the certificate of what certifies the services.
    keep_data: destroy leaves databases, buckets and indices on disk."""

    runtime: Runtime
    credentials: Credentials
    authority: pulumi.Output[str]
    keep_data: bool
    sizes: Mapping[str, Size]
