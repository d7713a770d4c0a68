"""MinIO as the stacks run it."""

import subprocess

import httpx
import pytest
from minio import Minio
from minio.error import S3Error

from services.minio import config
from tests.services.running import installed
from tests.support.ports import free_ports

pytestmark = pytest.mark.service
ROOT = "root-of-the-test"


def test_credentials_come_from_the_file_and_metrics_ask_for_a_token(paths, make_place):
    binary = installed(paths.bin / "minio")
    place = make_place("minio")
    password_file, password = place.secret("root-password")
    port, console_port = free_ports(2)
    command = config.command(
        binary=binary, data_dir=place.data, port=port, console_port=console_port
    )
    env = config.environment(root_user=ROOT, root_password_file=password_file)
    url = f"http://127.0.0.1:{port}"
    with place.running(command, lambda: httpx.get(f"{url}/minio/health/ready").is_success, env):
        store = Minio(f"127.0.0.1:{port}", ROOT, password, secure=False)
        store.make_bucket("lake")
        assert [bucket.name for bucket in store.list_buckets()] == ["lake"]
        with pytest.raises(S3Error, match="InvalidAccessKeyId"):
            Minio(f"127.0.0.1:{port}", "minioadmin", "minioadmin", secure=False).list_buckets()

        metrics = url + config.METRICS_PATH
        assert httpx.get(metrics).status_code == 403
        for key, status in ((password, 200), ("another-password", 403)):
            token = config.metrics_token(access_key=ROOT, secret_key=key)
            answer = httpx.get(metrics, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
    assert password not in (place.logs / "output.log").read_text()


def test_it_does_not_start_with_default_credentials_when_the_file_is_missing(paths, make_place):
    binary = installed(paths.bin / "minio")
    place = make_place("minio-without-password")
    port, console_port = free_ports(2)
    env = config.environment(root_user=ROOT, root_password_file=place.config / "absent")
    finished = subprocess.run(
        config.command(binary=binary, data_dir=place.data, port=port, console_port=console_port),
        env={"PATH": "/usr/bin:/bin", "HOME": str(place.tmp), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode != 0
    assert "MINIO_ROOT_PASSWORD" in finished.stdout + finished.stderr
