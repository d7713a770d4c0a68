"""Clients of a deployed stack's services, at the addresses that the stack tells."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import urllib3
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
    secure = {"sslmode": "verify-full", "sslrootcert": str(stack.ca_file)}
    return {
        **(secure if address.scheme == "https" else {}),
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
        http_client=urllib3.PoolManager(timeout=TIMEOUT_S, ssl_context=stack.trust),
    )


@contextmanager
def search(stack: Stack) -> Iterator[httpx.Client]:
    auth = (ELASTICSEARCH_SUPERUSER, stack.password("elasticsearch-superuser"))
    url, verify = stack.url("elasticsearch"), stack.trust
    with httpx.Client(base_url=url, auth=auth, timeout=TIMEOUT_S, verify=verify) as client:
        yield client


@contextmanager
def airbyte(stack: Stack) -> Iterator[AirbyteClient]:
    password = stack.password("airbyte-client")
    client = AirbyteClient(stack.url("airbyte"), password, verify=stack.trust)
    try:
        yield client
    finally:
        client.close()
