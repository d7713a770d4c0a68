"""A pipeline whose services are doubles, with a real PostgreSQL for its records."""

import io
import json
import sys
from uuid import uuid4

import pytest
from rich.console import Console

from pipeline.config import parse
from pipeline.progress import Progress
from tests.pipeline.doubles import Airbyte, Dremio, Superset, fake_dbt, results
from tests.support.databases import new_database
from tests.support.ports import free_ports

SECRET = "s3cret-of-the-test"


@pytest.fixture
def airbyte():
    with Airbyte("postgres", "api").running() as double:
        yield double


@pytest.fixture
def dremio():
    with Dremio().running() as double:
        yield double


@pytest.fixture
def superset():
    with Superset().running() as double:
        yield double


@pytest.fixture
def progress() -> Progress:
    return Progress(Console(file=io.StringIO(), width=300))


def shown(progress: Progress) -> str:
    return progress.console.file.getvalue()


@pytest.fixture
def settings(tmp_path):
    """Settings of a pipeline that calls nobody: tests fill in the services they need."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)
    program = fake_dbt(
        tmp_path, sys.executable, results(model__stg_orders="success", test__unique="pass")
    )
    closed, port = free_ports(2)
    nowhere = f"http://127.0.0.1:{closed}"
    return {
        "stack": f"test-{uuid4()}",
        "host": "127.0.0.1",
        "port": port,
        "airbyte": {
            "url": nowhere,
            "clientId": "dataflow",
            "clientSecretFile": str(secret_file),
            "connections": ["postgres", "api"],
        },
        "dremio": {
            "url": nowhere,
            "username": "admin",
            "passwordFile": str(secret_file),
            "datasets": [["lake", "bronze", "postgres", "orders"]],
            "reflectionDatasets": [["gold", "fct_orders"]],
        },
        "dbt": {
            "executable": str(program),
            "projectDir": str(tmp_path / "shop"),
            "sourcesDir": str(tmp_path / "sources"),
            "workDir": str(tmp_path / "work"),
        },
        "database": {
            "host": "127.0.0.1",
            "port": 1,
            "dbname": "pipeline",
            "user": "pipeline",
            "passwordFile": str(secret_file),
        },
        "superset": None,
        "schedule": None,
    }


@pytest.fixture
def whole_settings(settings, postgres_server, airbyte, dremio, superset, tmp_path):
    settings["database"] = new_database(postgres_server, f"pipeline-{uuid4()}", tmp_path)
    settings["airbyte"]["url"] = airbyte.url
    settings["dremio"]["url"] = dremio.url
    settings["superset"] = {
        "url": superset.url,
        "username": "admin",
        "passwordFile": settings["dremio"]["passwordFile"],
        "dashboards": ["sales"],
    }
    return settings


@pytest.fixture
def whole(whole_settings):
    return parse(whole_settings)


@pytest.fixture
def config_file(whole_settings, tmp_path):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(whole_settings))
    return path
