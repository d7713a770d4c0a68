"""Clients of a deployed stack's services, at the addresses that the stack tells."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from minio import Minio

from dynamic_providers.airbyte.client import AirbyteClient
from services.elasticsearch.config import SUPERUSER as ELASTICSEARCH_SUPERUSER
from services.postgresql.config import SUPERUSER as POSTGRES_SUPERUSER
from tools.stack import Stack

STORE_ROOT = "minio-root"  # user and credential
TIMEOUT_S = 120.0


def postgres(stack: Stack) -> Mapping[str, Any]:
    """How the superuser connects, as psycopg takes it."""
    address = urlsplit(stack.url("postgres"))
    return {
        "host": address.hostname,
        "port": address.port,
        "user": POSTGRES_SUPERUSER,
        "password": stack.password("postgres-superuser"),
        "connect_timeout": 30,
    }


def store(stack: Stack) -> Minio:
    address = urlsplit(stack.url("minio"))
    return Minio(
        address.netloc,
        access_key=STORE_ROOT,
        secret_key=stack.password("minio-root"),
        secure=address.scheme == "https",
    )


@contextmanager
def search(stack: Stack) -> Iterator[httpx.Client]:
    auth = (ELASTICSEARCH_SUPERUSER, stack.password("elasticsearch-superuser"))
    with httpx.Client(base_url=stack.url("elasticsearch"), auth=auth, timeout=TIMEOUT_S) as client:
        yield client


@contextmanager
def airbyte(stack: Stack) -> Iterator[AirbyteClient]:
    client = AirbyteClient(stack.url("airbyte"), stack.password("airbyte-client"))
    try:
        yield client
    finally:
        client.close()
