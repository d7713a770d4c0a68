"""`dataflow import` as a command: where the password comes from, and how faults are told."""

import pytest
from typer.testing import CliRunner

from tests.fakes.airbyte import Airbyte
from tests.fakes.serving import serving
from tools.cli import PASSWORD_VARIABLE, app

SECRET = "5ecret-of-the-application"


@pytest.fixture
def url():
    with serving(Airbyte(SECRET).app) as address:
        yield address


def run(*arguments: str, env: dict | None = None):
    return CliRunner().invoke(app, ["import", *arguments], env=env or {})


def test_the_password_comes_from_a_file(url, tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    file, out = str(tmp_path / "secret"), tmp_path / "out"
    done = run("airbyte", "--url", url, "--password-file", file, "--output", str(out))
    assert done.exit_code == 0, done.output
    assert (out / "adoption-airbyte.json").exists()
    assert SECRET not in done.output


def test_the_password_comes_from_the_environment(url, tmp_path):
    env = {PASSWORD_VARIABLE: SECRET}
    done = run("airbyte", "--url", url, "--output", str(tmp_path / "out"), env=env)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("service", "address", "password", "text"),
    [
        ("airbyte", "", "wr0ng-secret", "refuses 'dataflow'"),
        ("airbyte", "http://127.0.0.1:9", SECRET, "nothing answers"),
        ("postgres", "", SECRET, "expected one of airbyte, dremio, superset"),
        ("airbyte", "", "", "no password"),
    ],
)
def test_faults_are_told_without_a_traceback(url, tmp_path, service, address, password, text):
    env = {PASSWORD_VARIABLE: password}
    arguments = ("--url", address or url, "--output", str(tmp_path / "out"))
    done = run(service, *arguments, env=env)
    assert done.exit_code == 1
    assert text in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()
