"""The real CLI with the official SDKs and our plugins: up, drift, import, destroy."""

import json
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.plugins.conftest import PLUGINS
from tools.paths import Paths, engine_environment

pytestmark = [pytest.mark.engine, pytest.mark.service]
PROGRAM = Path(__file__).parent / "program"
ROOT = Path(__file__).resolve().parents[2]
CLI_TIMEOUT_S = 180


class Stack:
    def __init__(self, folder: Path) -> None:
        paths = Paths(root=ROOT, home=folder / "home")
        self.folder = folder / "program"
        shutil.copytree(PROGRAM, self.folder)
        virtualenv = f"runtime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}"
        project = self.folder / "Pulumi.yaml"
        project.write_text(project.read_text().replace("runtime: python", virtualenv))
        for plugin in PLUGINS.values():
            _install(paths.pulumi_home, plugin.name, plugin.version)
        self.env = engine_environment(paths)
        installed = Paths.find().bin
        if not (installed / "pulumi").exists():
            pytest.skip(f"{installed / 'pulumi'} is missing: install it with `make bootstrap`")
        self.env["PATH"] = f"{installed}:{self.env['PATH']}"
        self.env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"

    def run(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=CLI_TIMEOUT_S,
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def configure(self, values: dict[str, object]) -> None:
        """In a folder that only this test can read: the program marks what is secret."""
        file = self.folder / "Pulumi.test.yaml"
        recorded = yaml.safe_load(file.read_text())  # holds the salt of the stack's secrets
        file.write_text(yaml.safe_dump(recorded | {"config": values}))

    def changes(self, *options: str) -> dict[str, dict[str, str]]:
        """What a preview would do: `kind name operation` -> detailed diff, path -> kind."""
        found = {}
        for step in json.loads(self.run("preview", "--json", *options))["steps"]:
            if step["op"] not in ("same", "refresh"):
                kind, name = step["urn"].split("::")[2:]
                diff = step.get("detailedDiff") or {}
                label = f"{kind.rsplit(':', 1)[-1]} {name} {step['op']}"
                found[label] = {path: change["kind"] for path, change in diff.items()}
        return found


def _install(pulumi_home: Path, name: str, version: str) -> None:
    folder = pulumi_home / "plugins" / f"resource-{name}-v{version}"
    folder.mkdir(parents=True)
    launcher = folder / f"pulumi-resource-{name}"
    python = ROOT / ".venv/bin/python"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {python} -P -m plugins.{name} "$@"\n')
    launcher.chmod(0o755)


def test_the_official_sdks_work_unchanged(
    tmp_path, minio_server, postgres_server, elasticsearch_server, connected
):
    stack, password = Stack(tmp_path), secrets.token_hex(16)
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
