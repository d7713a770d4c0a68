"""What a person wants to know of a running stack: services, addresses, rows, log-ins."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dynamic_providers.endpoints import PORTS
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
    """One row per service. Raises StackError where the stack's own tools know them."""
    from tools.running import running

    where = running(stack)
    table = Table("service", "state", where.process, "address", box=None, pad_edge=False)
    for one in where.states():
        address = _address(stack, one.of) if one.of in PORTS else ""
        table.add_row(one.of, one.state, one.process, address)
    return table


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
    console.print()
    console.print("[bold]Rows per layer[/]")
    console.print(_rows_table(stack))
    console.print()
    console.print("[bold]Where to look[/]")
    console.print(_logins_table(stack))
    if stack.ca_file.exists():
        console.print(f"\nauthority  {stack.ca_file}", soft_wrap=True)
    for board in stack.settings().load_flow().dashboards:
        console.print(f"\ndashboard  {stack.url('superset')}/superset/dashboard/{board.slug}/")
    option = _option(stack)
    console.print(
        "\n[bold]Next[/]\n"
        f"  bin/dataflow status{option}      services and their state\n"
        f"  bin/dataflow run{option}         run the pipeline once more\n"
        f"  bin/dataflow preview{option}     what an edit of flow/ or dbt_project/ would change\n"
        f"  bin/dataflow down{option}        stop and remove everything"
    )


def _rows_table(stack: Stack) -> Table:
    from dynamic_providers.dremio.client import DremioClient
    from pipeline.dremio import FAULTS
    from pipeline.summary import counted

    stack.require()
    table = Table("layer", "dataset", "rows", box=None, pad_edge=False)
    table.columns[-1].justify = "right"
    password = stack.password("dremio-admin")
    client = DremioClient(stack.url("dremio"), password, verify=stack.trust)
    try:
        for count in counted(client):
            rows = f"{count.rows:,}" if count.rows is not None else f"not readable: {count.fault}"
            table.add_row(count.layer, count.dataset, rows)
    except FAULTS as fault:
        option = _option(stack)
        raise StackError(f"{fault}: does Dremio run? See bin/dataflow status{option}") from None
    finally:
        client.close()
    return table


def _logins_table(stack: Stack) -> Table:
    table = Table("", "address", "user", "bin/dataflow password", box=None, pad_edge=False)
    for login in LOGINS:
        address = _address(stack, login.service)
        table.add_row(login.title, address, login.user, login.credential)
    return table


def _address(stack: Stack, service: str) -> str:
    scheme = {login.service: login.scheme for login in LOGINS}.get(service, "https")
    url = stack.url(service)
    if url.startswith("http:"):  # a stack without TLS
        return url.replace("http", {"https": "http", "grpc+tls": "grpc"}.get(scheme, scheme))
    return url.replace("https", scheme)


def _option(stack: Stack) -> str:
    return "" if stack.name == "local" else f" --stack {stack.name}"
