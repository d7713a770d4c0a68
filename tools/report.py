"""What a person wants to know of a running stack: services, addresses, rows, log-ins."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dynamic_providers.endpoints import PORTS
from dynamic_providers.local import control
from tools.stack import Stack, StackError


@dataclass(frozen=True, kw_only=True)
class Login:
    """How a person logs in to a service. credential: its name for `bin/dataflow password`."""

    service: str
    title: str
    user: str
    credential: str
    scheme: str = "https"


LOGINS = (
    Login(service="superset", title="Superset", user="admin", credential="superset-admin"),
    Login(service="dremio", title="Dremio REST", user="admin", credential="dremio-admin"),
    Login(
        service="dremio-flight",
        title="Arrow Flight",
        user="admin",
        credential="dremio-admin",
        scheme="grpc+tls",
    ),
    Login(service="airbyte", title="Airbyte API", user="dataflow", credential="airbyte-client"),
    Login(service="minio-console", title="MinIO", user="minio-root", credential="minio-root"),
    Login(
        service="postgres",
        title="PostgreSQL",
        user="postgres",
        credential="postgres-superuser",
        scheme="postgresql",
    ),
    Login(
        service="elasticsearch",
        title="Elasticsearch",
        user="elastic",
        credential="elasticsearch-superuser",
    ),
)


def services_table(stack: Stack) -> Table:
    """One row per supervised process, and one for the supervisor when it is down."""
    table = Table("service", "state", "pid", "address", box=None, pad_edge=False)
    for name, state, pid in _processes(stack.directory):
        address = _address(stack, name) if name in PORTS else ""
        table.add_row(name, state, pid, address)
    return table


def _processes(directory: Path) -> Iterator[tuple[str, str, str]]:
    daemon = control.of(str(directory))
    for folder in sorted((directory / "services").glob("*")):
        if not daemon.program_config(folder.name).exists():
            continue  # a job: it has run to its end
        info = daemon.info(folder.name)
        running = info is not None and info.up
        yield (
            folder.name,
            info.state.lower() if info else "stopped",
            str(info.pid) if info and running else "",
        )


def pipeline_config(stack: Stack) -> Path:
    """Raises StackError when the stack has no pipeline yet."""
    path = stack.paths.service_dir(stack.name, "pipeline") / "config" / "pipeline.json"
    if not path.exists():
        raise StackError(
            f"stack {stack.name!r} is not deployed: run bin/dataflow up --stack {stack.name}"
        )
    return path


def print_summary(stack: Stack, console: Console) -> None:
    """Addresses, rows per layer, log-ins and what to do next."""
    config = pipeline_config(stack)
    console.print()
    console.print("[bold]Rows per layer[/]")
    console.print(_rows_table(config, stack))
    console.print()
    console.print("[bold]Where to look[/]")
    console.print(_logins_table(stack))
    console.print(f"\nauthority  {stack.ca_file}", soft_wrap=True)
    for slug in json.loads(config.read_text())["superset"]["dashboards"]:
        console.print(f"\ndashboard  {stack.url('superset')}/superset/dashboard/{slug}/")
    option = "" if stack.name == "local" else f" --stack {stack.name}"
    console.print(
        "\n[bold]Next[/]\n"
        f"  bin/dataflow status{option}      services and their state\n"
        f"  bin/dataflow run{option}         run the pipeline once more\n"
        f"  bin/dataflow preview{option}     what an edit of flow/ or dbt_project/ would change\n"
        f"  bin/dataflow down{option}        stop and remove everything"
    )


def _rows_table(config: Path, stack: Stack) -> Table:
    from pipeline.config import load
    from pipeline.summary import row_counts

    table = Table("layer", "dataset", "rows", box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    for count in row_counts(load(config), stack.trust):
        rows = f"{count.rows:,}" if count.rows is not None else f"not readable: {count.fault}"
        table.add_row(count.layer, count.dataset, rows)
    return table


def _logins_table(stack: Stack) -> Table:
    table = Table("", "address", "user", "bin/dataflow password", box=None, pad_edge=False)
    for login in LOGINS:
        address = _address(stack, login.service)
        table.add_row(login.title, address, login.user, login.credential)
    return table


def _address(stack: Stack, service: str) -> str:
    schemes = {login.service: login.scheme for login in LOGINS}
    return stack.url(service).replace("https", schemes.get(service, "https"))
