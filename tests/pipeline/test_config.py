import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.config import ConfigError, load, secret


def changed(settings, path, value):
    at = settings
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return settings


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["retries"], 3, "retries: no such input: expected one of stack"),
        (["dremio", "user"], "x", "dremio.user: no such input"),
        (["airbyte", "url"], "localhost", "airbyte.url: 'localhost': expected http://"),
        (["dbt", "workDir"], "work", "dbt.workDir: 'work': expected an absolute path"),
        (["port"], 70000, "port: 70000: expected 1 to 65535"),
        (["dremio", "datasets"], [["lake", ""]], "dremio.datasets[0][1]: ''"),
        (["schedule"], "0 1 * * *", "schedule: '0 1 * * *': expected six fields"),
        (["superset"], [], "superset: expected an object"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_runs(
    settings, tmp_path, capsys, path, value, text
):
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(changed(settings, path, value)))
    assert main(["run", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert text in error and str(file) in error


def test_a_missing_setting_is_named(settings, tmp_path):
    del settings["dbt"]["executable"]
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"dbt\.executable: missing"):
        load(file)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_an_unreadable_file_is_named(tmp_path, content):
    file = tmp_path / "pipeline.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match="pipeline.json"):
        load(file)


def test_a_missing_secret_is_named():
    with pytest.raises(ConfigError, match="/nowhere/secret: No such file"):
        secret(Path("/nowhere/secret"))
