"""Superset as a service: settings file, command, environment, for the project's side."""

import json
from collections.abc import Mapping
from pathlib import Path

from services.superset.settings import VARIABLE
from tls.files import CertificateFiles

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "services/superset"
HOST = "127.0.0.1"
READY_PATH = "/login/"  # /health is answered before the database and the templates work


def files(
    *,
    port: int,
    metadata: Mapping[str, str | int],
    secret_key_file: Path,
    other_secret_key_file: Path | None = None,
    admin_user: str,
    admin_password_file: Path,
    data_dir: Path,
    host: str = HOST,
    tls: CertificateFiles | None = None,
) -> dict[str, str]:
    """Relative path -> text.

    other_secret_key_file: of the key that this one replaces, while it does.
    host: the address that it listens on. tls: the certificate to serve with.
    metadata: host, port, dbname, user, passwordFile of a PostgreSQL database that exists and
    that the user owns.
    """
    settings = {
        "host": host,
        "port": port,
        "cacheDir": str(data_dir / "cache"),
        "secretKeyFile": str(secret_key_file),
        "metadata": dict(metadata),
        "admin": {"user": admin_user, "passwordFile": str(admin_password_file)},
    }
    if other_secret_key_file is not None:
        settings["otherSecretKeyFile"] = str(other_secret_key_file)
    if tls is not None:
        settings["tls"] = tls.config()
    return {"superset.json": json.dumps(settings, indent=2) + "\n"}


def command(venv: Path, project: Path = ROOT) -> tuple[str, ...]:
    """project: where Superset finds this project's folder.

    -P: the script's folder must not come before Superset's packages."""
    return (str(venv / "bin/python"), "-P", str(project / FOLDER / "serve.py"))


def environment(*, config_dir: Path, data_dir: Path, project: Path = ROOT) -> dict[str, str]:
    return {
        VARIABLE: str(config_dir / "superset.json"),
        "SUPERSET_CONFIG_PATH": str(project / FOLDER / "superset_config.py"),
        "SUPERSET_HOME": str(data_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
