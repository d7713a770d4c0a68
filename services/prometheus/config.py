"""One Prometheus server that scrapes the services of a stack: file and command.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.prometheus.rules import FOLDER
from tls.files import CertificateFiles

HOST = "127.0.0.1"
WEB_CONFIG = "web.yml"


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """What to read under one job name.

    targets: host:port of each.
    bearer_token_file: sent as `Authorization: Bearer`.
    username, password_file: sent as basic authentication; both or none, and no token then.
    ca_file: of the authority that vouches for the targets; without one they are asked over HTTP.
    interval_s: seconds between two readings; None for those of all jobs.
    """

    job: str
    targets: tuple[str, ...]
    path: str = "/metrics"
    bearer_token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    interval_s: int | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError(f"scrape job {self.job!r}: expected at least one host:port target")
        if (self.username is None) != (self.password_file is None):
            raise ValueError(f"scrape job {self.job!r}: username and password_file go together")
        if self.username is not None and self.bearer_token_file is not None:
            raise ValueError(f"scrape job {self.job!r}: expected a token or a user, not both")


def files(
    *,
    scrapes: Sequence[Scrape],
    interval_s: int,
    rules: Mapping[str, str] | None = None,
    tls: CertificateFiles | None = None,
) -> dict[str, str]:
    """Relative path -> text. Raises ValueError for a job name that is used twice.

    rules: files of rules.file, which become part of the answer.
    tls: the certificate to serve with; it is read anew for every connection.
    """
    names = [scrape.job for scrape in scrapes]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"scrape job {doubled[0]!r}: the name is used twice")
    settings = {
        "global": {"scrape_interval": f"{interval_s}s", "evaluation_interval": f"{interval_s}s"},
        "rule_files": [f"{FOLDER}/*.yml"],  # relative to the file that says so
        "scrape_configs": [_scrape_config(scrape) for scrape in scrapes],
    }
    return {
        **(rules or {}),
        "prometheus.yml": yaml.safe_dump(settings, sort_keys=False),
        WEB_CONFIG: yaml.safe_dump(_web_config(tls), sort_keys=False),
    }


def command(
    *,
    home: Path,
    config_dir: Path,
    data_dir: Path,
    port: int,
    retention_days: int,
    host: str = HOST,
) -> tuple[str, ...]:
    """host: the address that it listens on. SIGHUP makes it read its configuration again."""
    return (
        str(home / "bin/prometheus"),
        f"--config.file={config_dir}/prometheus.yml",
        f"--web.config.file={config_dir}/{WEB_CONFIG}",
        f"--storage.tsdb.path={data_dir}",
        f"--storage.tsdb.retention.time={retention_days}d",
        f"--web.listen-address={host}:{port}",
    )


def _web_config(tls: CertificateFiles | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "tls_server_config": {
            "cert_file": str(tls.certificate),
            "key_file": str(tls.key),
            "min_version": "TLS12",
        }
    }


def _scrape_config(scrape: Scrape) -> dict[str, Any]:
    config: dict[str, Any] = {
        "job_name": scrape.job,
        "metrics_path": scrape.path,
        "static_configs": [{"targets": list(scrape.targets)}],
    }
    if scrape.interval_s is not None:
        config["scrape_interval"] = f"{scrape.interval_s}s"
        config["scrape_timeout"] = f"{scrape.interval_s // 2}s"
    if scrape.ca_file is not None:
        config |= {"scheme": "https", "tls_config": {"ca_file": str(scrape.ca_file)}}
    if scrape.bearer_token_file is not None:
        config["authorization"] = {"credentials_file": str(scrape.bearer_token_file)}
    if scrape.username is not None:
        config["basic_auth"] = {
            "username": scrape.username,
            "password_file": str(scrape.password_file),
        }
    return config
