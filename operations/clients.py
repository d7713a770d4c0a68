"""Clients of a deployed stack's services, at the addresses that the stack tells."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import urllib3
from minio import Minio

from dynamic_providers.airbyte.client import AirbyteClient
from dynamic_providers.handler import InputError
from plugins.kubernetes.client import KubeClient, connect
from services.elasticsearch.config import SUPERUSER as ELASTICSEARCH_SUPERUSER
from settings import BACKUP_ACCOUNT, Settings
from tools.running import not_deployed
from tools.stack import Stack, StackError

KUBERNETES = "kubernetes:"  # before the keys of its provider
POSTGRES_PROVIDER = "pulumi:providers:postgresql"
PIPELINE = "pipeline"  # role and database
STORE_ROOT = "minio-root"  # user and credential
TIMEOUT_S = 120.0


def postgres(stack: Stack) -> Mapping[str, Any]:
    """How the administrator connects, as psycopg takes it: as the stack's own provider does.
    Raises StackError for a stack without PostgreSQL."""
    for one in stack.resources():
        if one["type"] == POSTGRES_PROVIDER:
            known = one["inputs"]
            authority = {"sslrootcert": known["sslrootcert"]} if "sslrootcert" in known else {}
            return {
                **authority,
                "sslmode": known["sslmode"],
                "host": known["host"],
                "port": int(known["port"]),
                "user": known["username"],
                "password": stack.password("postgres-superuser"),
                "connect_timeout": 30,
            }
    raise not_deployed(stack)


def pipeline(stack: Stack) -> Mapping[str, Any]:
    """How the pipeline connects to its database, as psycopg takes it."""
    own = {"dbname": PIPELINE, "user": PIPELINE, "password": stack.password("postgres-pipeline")}
    return {**postgres(stack), **own}


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


def cluster(stack: Stack) -> KubeClient:
    """As the stack's provider is configured. Raises StackError, ServiceError."""
    keys = [key for key in stack.configuration() if key.startswith(KUBERNETES)]
    try:
        return connect({key.removeprefix(KUBERNETES): stack.secret(key) for key in keys})
    except InputError as fault:
        raise StackError(f"{KUBERNETES}{fault}") from None


def backup_store(stack: Stack, settings: Settings) -> Minio:
    address = urlsplit(settings.backup_endpoint)
    user, password = (stack.secret(key) for key in BACKUP_ACCOUNT)
    return Minio(
        address.netloc,
        access_key=user,
        secret_key=password,
        region=settings.backup_region,
        http_client=urllib3.PoolManager(
            timeout=TIMEOUT_S, ssl_context=ssl.create_default_context()
        ),
    )
