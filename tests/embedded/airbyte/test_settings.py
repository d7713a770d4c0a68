"""The configuration file: every mistake has a clear message before anything starts."""

import pytest

from embedded.airbyte import settings
from embedded.airbyte.settings import SettingsError


@pytest.fixture
def raw(tmp_path):
    password, secret = tmp_path / "password", tmp_path / "secret"
    password.write_text("pw\n")
    secret.write_text("s3cret")
    return {
        "database": {
            "host": "127.0.0.1",
            "port": 5432,
            "dbname": "airbyte",
            "user": "airbyte",
            "passwordFile": str(password),
        },
        "clientId": "id",
        "clientSecretFile": str(secret),
        "workDir": str(tmp_path),
    }


def test_defaults_are_those_of_the_specification(raw) -> None:
    parsed = settings.parse(raw)
    assert parsed.port == 8001
    assert parsed.engine.max_attempts == 4
    assert parsed.engine.timeout_s == 3600
    assert "airbyte/source-postgres" in parsed.connectors
    assert parsed.database.password == "pw"
    assert settings.parse({**raw, "workDir": "work"}).work_dir.is_absolute()
    assert "pw" not in repr(parsed) and "s3cret" not in repr(parsed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"prot": 1}, "'prot' was unexpected"),
        ({"port": "8001"}, "port: '8001' is not of type"),
        ({"database": {}}, "database: 'host' is a required property"),
        ({"clientSecretFile": "/nowhere"}, "clientSecretFile: /nowhere: No such file"),
        ({"clientId": None, "authEnabled": True}, "clientId"),
        ({"connectors": {"faker": ["x"]}}, "faker"),
        ({"logs": {"elasticsearch": {"url": "http://x", "username": "u"}}}, "both or neither"),
        ({"engine": {"maxAttempts": 0}}, "engine.maxAttempts"),
    ],
)
def test_mistakes_are_named(raw, change, problem) -> None:
    with pytest.raises(SettingsError, match=problem):
        settings.parse({**raw, **change})


def test_a_file_that_is_not_json_is_named(tmp_path) -> None:
    path = tmp_path / "airbyte.json"
    path.write_text('{"a":\n')
    with pytest.raises(SettingsError, match="airbyte.json: line"):
        settings.load(path)
