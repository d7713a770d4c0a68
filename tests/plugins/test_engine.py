"""The real CLI with the official SDKs and our plugins: up, drift, import, destroy."""

import json
import secrets
from pathlib import Path

import pytest

from tests.plugins.engine import Stack

pytestmark = [pytest.mark.engine, pytest.mark.service]
PROGRAM = Path(__file__).parent / "program"


def test_the_official_sdks_work_unchanged(
    tmp_path, minio_server, postgres_server, elasticsearch_server, connected
):
    stack, password = Stack(tmp_path, PROGRAM), secrets.token_hex(16)
    stack.run("stack", "init", "test")
    stack.configure(
        {
            "minio:minioServer": minio_server.address,
            "minio:minioUser": minio_server.user,
            "plugins-test:postgresPort": postgres_server.port,
            "plugins-test:postgresPassword": postgres_server.password,
            "plugins-test:searchUrl": elasticsearch_server.url,
            "plugins-test:searchPassword": elasticsearch_server.password,
            "plugins-test:userPassword": password,
        }
    )
    stack.run("config", "set", "--secret", "minio:minioPassword", given=minio_server.password)
    others = {bucket.name for bucket in connected("minio").s3("list_buckets")}
    printed = stack.run("up", "--yes")
    try:
        stack.run("preview", "--expect-no-changes")
        stack.run("refresh", "--yes", "--expect-no-changes")

        state = stack.run("stack", "export")
        servers = (minio_server, postgres_server, elasticsearch_server)
        for hidden in (password, *(server.password for server in servers)):
            assert hidden not in state + printed

        _drift(stack, connected)
        _import(stack, connected("minio"))
    finally:
        stack.run("destroy", "--yes")
    assert not connected("postgresql").has_database("app")
    assert connected("elasticstack").send("GET", "/_index_template/logs") is None
    assert {bucket.name for bucket in connected("minio").s3("list_buckets")} == others


def _drift(stack: Stack, connected) -> None:
    minio, bucket = (
        connected("minio"),
        json.loads(stack.run("stack", "output", "--json"))["bucket"],
    )
    minio.s3("delete_bucket_policy", bucket)
    minio.admin("bucket_quota_set", bucket, 5)
    with connected("postgresql").session() as session:
        session.run("ALTER ROLE etl CONNECTION LIMIT 3")
    connected("elasticstack").send("PUT", "/_security/user/writer/_disable")
    stack.run("refresh", "--yes")
    assert stack.changes() == {
        "S3BucketPolicy lake create": {},
        "S3Bucket lake update": {"quota": "update"},
        "Role etl update": {"connectionLimit": "update"},
        "SecurityUser writer update": {"enabled": "update"},
    }
    stack.run("up", "--yes")


def _import(stack: Stack, minio) -> None:
    minio.s3("make_bucket", "by-hand")
    minio.s3("make_bucket", "by-cli")
    stack.run("config", "set", "importing", "true")
    assert list(stack.changes("--refresh")) == ["S3Bucket adopted import"], "drift is repaired"
    stack.run("up", "--yes")
    token = "minio:index/s3Bucket:S3Bucket"
    stack.run(
        *("import", token, "cli", "by-cli", "--yes", "--generate-code=false", "--protect=false")
    )
    assert list(stack.changes()) == ["S3Bucket cli delete"], "the program does not have it"
    with pytest.raises(AssertionError, match="does not exist"):
        stack.run("import", token, "none", "not-there", "--yes", "--generate-code=false")
