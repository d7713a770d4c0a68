"""`bin/dataflow`: the commands that people run.

Each command strings together modules that do the work. Heavy imports stand inside the commands,
so that `--help` answers at once.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from dynamic_providers.local import core_dumps
from tools.paths import Paths, engine_environment
from tools.stack import Stack, StackError

app = typer.Typer(
    help="A complete data platform, declared as Pulumi infrastructure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
policy = typer.Typer(help="What every stack must fulfil (docs/policies.md).", no_args_is_help=True)
app.add_typer(policy, name="policy")
images = typer.Typer(help="Images of containers, pinned by digest.", no_args_is_help=True)
app.add_typer(images, name="images")
console = Console(highlight=False)

StackName = Annotated[str, typer.Option("--stack", "-s", help="The stack: local, dev or prod.")]
PASSWORD_VARIABLE = "DATAFLOW_IMPORT_PASSWORD"  # noqa: S105 - its name
LINTERS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "."),
    ("lint-imports",),
)


@app.command()
def bootstrap() -> None:
    """Install the tools and services that a stack needs, as far as they are missing."""
    _bootstrap()


@app.command()
def up(
    stack: StackName = "local",
    secrets_provider: Annotated[
        str | None,
        typer.Option(help="What encrypts the secrets of a new stack: passphrase or a key's URL."),
    ] = None,
) -> None:
    """Install what is missing, deploy the stack, run the pipeline, and say where to look."""
    from tools import policing
    from tools.running import NotFromHere

    target = _stack(stack)
    with _clear_errors():
        target.secrets_provider(secrets_provider)  # a wrong one, before minutes of work
    _bootstrap()
    with _clear_errors():
        target.create(secrets_provider)
        target.revive()
        with policing.mandatory_rules(target) as rules:
            failed = target.pulumi("up", "--yes", "--skip-preview", *rules)
        if failed:
            raise StackError(
                f"stack {stack!r} is not complete: the messages above say what failed. Mend it "
                "and run the same command again: it goes on where it stopped."
            )
        try:
            _run_pipeline(target)
        except NotFromHere as said:
            console.print(f"\n{said}", soft_wrap=True)
        judged, pack = policing.pack_of(target)
        policing.show_counts(target, policing.findings(target, judged, pack), console)
        _summary(target)


@app.command()
def preview(stack: StackName = "local", diff: bool = False) -> None:
    """Show what `up` would change and which policies fail, without changing anything."""
    from tools.policing import pack_arguments

    target = _stack(stack)
    with _clear_errors(), target.planned():
        shown = ["--diff"] if diff else []
        raise typer.Exit(target.pulumi("preview", *shown, *pack_arguments(target)))


@policy.command("list")
def policy_list(stack: StackName = "local") -> None:
    """List the rules and their levels on a stack."""
    from tools import policing

    with _clear_errors():
        _judged, pack = policing.pack_of(_stack(stack))
        console.print(policing.rules_table(pack))


@policy.command("report")
def policy_report(
    stack: StackName = "local",
    format: Annotated[str, typer.Option(help="html or sarif, for --output.")] = "html",
    output: Annotated[Path | None, typer.Option(help="File to write; else it is printed.")] = None,
) -> None:
    """Check what a stack is now; exit with 2 when a mandatory rule is broken."""
    from tools import policing

    target = _stack(stack)
    with _clear_errors():
        if format not in policing.FORMATS:
            valid = ", ".join(policing.FORMATS)
            raise StackError(f"--format {format!r}: expected one of {valid}")
        judged, pack = policing.pack_of(target)
        found = policing.findings(target, judged, pack)
        if output is None:
            policing.show(found, console)
        else:
            output.write_text(policing.written(target, pack, found, format))
        if policing.broken(found):
            raise typer.Exit(policing.BROKEN)


@app.command()
def review(
    stack: StackName = "local",
    preview: Annotated[
        Path | None, typer.Option(help="Review this output of pulumi preview --json.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Write what --preview takes to it.")] = None,
    sarif: Annotated[list[Path] | None, typer.Option(help="Findings of other checks.")] = None,
    base: Annotated[
        str, typer.Option(help="Revision that is deployed; looked for when not given.")
    ] = "",
    format: Annotated[str, typer.Option(help="terminal, github, gitlab or json.")] = "terminal",
    output: Annotated[Path | None, typer.Option(help="File to write; else it is printed.")] = None,
    fail_on: Annotated[
        str, typer.Option(help="Exit with 2 from this grade on: low, medium, high, critical.")
    ] = "never",
) -> None:
    """Say what `up` would change for data, security and costs, what could be lost, and how risky
    it is."""
    from tools import reviewing

    target = _stack(stack)
    with _clear_errors():
        reviewing.check_choices(format, fail_on)
        with target.planned() if preview is None else nullcontext():
            text = reviewing.planned(target) if preview is None else reviewing.text_of(preview)
            if keep is not None:
                reviewing.write_private(keep, text)
            live = reviewing.running(target)
            found = reviewing.reviewed(target, text, live=live, sarif=sarif or (), base=base)
        reviewing.show(target, found, f"Review of stack {stack}", format, output, console)
        if reviewing.reaches(found, fail_on):
            raise typer.Exit(reviewing.GATE)


@app.command()
def drift(
    stack: StackName = "local",
    format: Annotated[str, typer.Option(help="terminal, github, gitlab or json.")] = "terminal",
    output: Annotated[Path | None, typer.Option(help="File to write; else it is printed.")] = None,
) -> None:
    """Compare the running services with what the last `up` left; exit with 2 when they differ."""
    from tools import reviewing

    target = _stack(stack)
    with _clear_errors():
        reviewing.check_choices(format, "never")
        target.require()
        text = reviewing.drifted(target)
        found = reviewing.reviewed(target, text, live=reviewing.running(target))
        reviewing.show(target, found, f"Drift of stack {stack}", format, output, console)
        if found.counts:
            raise typer.Exit(reviewing.GATE)


@app.command()
def run(stack: StackName = "local") -> None:
    """Run the pipeline once: sync, dbt build, reflections, dashboard cache."""
    with _clear_errors():
        _run_pipeline(_stack(stack))


@app.command()
def summary(stack: StackName = "local") -> None:
    """Show where to look: rows per layer, addresses, how to log in."""
    with _clear_errors():
        _summary(_stack(stack))


@app.command()
def status(stack: StackName = "local") -> None:
    """Show the services of a stack, their state and their addresses."""
    from tools.report import services_table

    target = _stack(stack)
    with _clear_errors():
        target.require()
        console.print(services_table(target))


@app.command()
def down(stack: StackName = "local") -> None:
    """Stop every service of a stack and remove its data (unless dataflow:keepData)."""
    target = _stack(stack)
    if not target.exists:
        console.print(f"stack {stack} does not exist: nothing to do")
        return
    with _clear_errors():
        target.destroy()


@app.command()
def backup(
    stack: StackName = "local",
    output: Annotated[
        Path | None, typer.Option(help="The new folder. Default: backups/STACK-TIME.")
    ] = None,
) -> None:
    """Back up the data of a running stack: databases, lake, logs, state. On a cluster into its
    backup store, by what does it there each night."""
    from operations import cluster
    from operations.backup import back_up
    from tools.running import running

    target = output or Path("backups") / f"{stack}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with _clear_errors():
        if running(_stack(stack)).backs_up:
            if output:
                raise StackError(f"--output {output}: a cluster's go to the backup store: omit it")
            cluster.back_up(_stack(stack), console.print)
            return
        made = back_up(_stack(stack), target.absolute())
        console.print(f"{target}: {len(made.files)} files, as of {made.createdAt}")


@app.command()
def restore(
    folder: Annotated[
        Path | None, typer.Argument(help="Of a backup. A cluster's are in its backup store.")
    ] = None,
    stack: StackName = "local",
    at: Annotated[
        str, typer.Option(help="Clusters: the newest restore point until then; else of all.")
    ] = "",
) -> None:
    """Bring a stack that does not run back from a backup, then go on with it."""
    from operations.restore import manifest_of
    from operations.restore import restore as bring_back
    from tools.running import would_run

    target = _stack(stack)
    with _clear_errors():
        if would_run(target).backs_up:
            if folder:
                raise StackError(f"{folder}: a cluster's are in the backup store: omit the folder")
            _recover(target, at)
            return
        if folder is None or at:
            raise StackError(f"stack {stack!r}: expected the folder of a backup, and no --at")
        place = folder.absolute()
        manifest = manifest_of(target, place)  # a wrong one, before minutes of work
    _bootstrap()
    with _clear_errors():
        done = bring_back(target, place, manifest, console.print)
        console.print(
            f"RPO {done.rpo_s:.0f} s (age of the data), RTO {done.rto_s:.0f} s (restore)"
        )


def _recover(target: Stack, at: str) -> None:
    from operations import cluster

    cluster.require_store(target)
    _bootstrap()
    point = cluster.restore(target, at, console.print)
    console.print(
        f"stack {target.name} goes on from {point.time}. Keep dataflow:recover in "
        f"{target.config_file.name}: without it the database would be declared anew"
    )


@app.command()
def migrate(
    source: Annotated[str, typer.Option("--from", help="A running stack.")],
    target: Annotated[str, typer.Option("--to", help="A stack that is not deployed yet.")],
) -> None:
    """Deploy a stack that goes on where another one is: nothing is synced twice."""
    from operations.migrate import check
    from operations.migrate import migrate as carry_over

    old, new = _stack(source), _stack(target)
    with _clear_errors():
        check(old, new)
    _bootstrap()
    with _clear_errors():
        done = carry_over(old, new, console.print)
        console.print(
            f"migrated from {source} to {target}: {done.objects} objects, {done.states} "
            f"connections, {done.runs} runs, {done.users} users"
        )


@app.command()
def rotate(stack: StackName = "local") -> None:
    """Replace every credential of a running stack, and the authority of its certificates."""
    from operations.rotation import rotate as replace_credentials

    with _clear_errors():
        replace_credentials(_stack(stack), console.print)
        console.print(f"stack {stack}: every credential is new")


@app.command()
def password(
    credential: Annotated[str, typer.Argument(help="For example superset-admin, dremio-admin.")],
    stack: StackName = "local",
) -> None:
    """Print one password of a stack."""
    from tools.report import LOGINS

    with _clear_errors():
        known = sorted({login.credential for login in LOGINS})
        if credential not in known:
            raise StackError(f"{credential!r}: unknown, expected one of {', '.join(known)}")
        print(_stack(stack).password(credential))


@app.command("import")
def import_(
    service: Annotated[str, typer.Argument(help="airbyte, dremio or superset.")],
    url: Annotated[str, typer.Option(help="Of its REST API: http(s)://host:port.")],
    user: Annotated[str | None, typer.Option(help="Default: the platform's own.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(help=f"Its first line is the password. Else ${PASSWORD_VARIABLE}, or asked."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for what is written.")] = Path("estate"),
) -> None:
    """Read a live system into a flow and a list of objects to take over."""
    from adoption.importing import ImportFault, import_system

    with _clear_errors():
        try:
            done = import_system(service, url, user, _import_password(password_file), output)
        except (ImportFault, OSError) as fault:
            raise StackError(str(fault)) from None
        listing = done.listing
        console.print(
            f"{len(listing.objects)} objects to take over, {len(listing.refused)} not; "
            f"{len(listing.secrets)} secrets to set; {len(done.remarks)} remarks on the flow"
        )
        for path in done.files:
            console.print(str(path))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def pulumi(context: typer.Context) -> None:
    """Run any pulumi command with this checkout's state: `bin/dataflow pulumi stack ls`."""
    paths = Paths.find()
    command = [str(paths.bin / "pulumi"), *context.args]
    os.chdir(paths.root)
    os.execve(command[0], command, engine_environment(paths))  # noqa: S606


@app.command()
def lint() -> None:
    """Check style, types and the direction of imports."""
    for tool, *arguments in LINTERS:
        _check(tool, *arguments)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Install what tests need, lint, and run the tests: all, or those that arguments for pytest
    choose."""
    from tools import testing

    _bootstrap("--tests")
    lint()
    if context.args:
        _check("pytest", *context.args)
    elif code := testing.run(Paths.find(), console):
        raise typer.Exit(code)


@app.command()
def bench(
    only: Annotated[
        str | None, typer.Option(help="One case: construct, engine, policies or review.")
    ] = None,
) -> None:
    """Compare the platform with a baseline measured in the same run. Takes minutes."""
    _check("python", "-m", "bench", *([only] if only else []))


@images.command("update")
def images_update(
    program: Annotated[
        list[str] | None, typer.Argument(help="Programs of services/images.yaml; all of them.")
    ] = None,
) -> None:
    """Ask the registries for the digests of the versions in services/images.yaml, and write
    them there."""
    from tools import images as pinned

    with _clear_errors():
        for line in pinned.update(program or []):
            console.print(line)


@images.command("check")
def images_check() -> None:
    """Exit with 1 for an image without a digest, or whose version is another image by now."""
    from tools import images as pinned

    with _clear_errors():
        if faults := list(pinned.faults()):
            _fail("\n".join(faults))
        console.print("every image is pinned and is what its registry has")


def _stack(name: str) -> Stack:
    return Stack(name=name, paths=Paths.find())


def _bootstrap(*options: str) -> None:
    from tools.bootstrap import main

    if code := main(options):
        raise typer.Exit(code)


def _check(tool: str, *arguments: str) -> None:
    paths = Paths.find()
    console.print(f"[bold]{tool}[/]", *arguments)
    done = subprocess.run(  # noqa: S603
        [str(paths.venv / "bin" / tool), *arguments], cwd=paths.root, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)


def _run_pipeline(stack: Stack) -> None:
    from tools.running import running

    if running(stack).run_pipeline():
        raise StackError(
            "the pipeline did not finish, see above; "
            f"after mending it: bin/dataflow run --stack {stack.name}"
        )


def _import_password(file: Path | None) -> str:
    """Never an argument: those can be read by every process of the machine."""
    if file is not None:
        lines = file.read_text().splitlines()
        if not lines or not lines[0]:
            raise StackError(f"--password-file {file}: its first line is empty")
        return lines[0]
    if found := os.environ.get(PASSWORD_VARIABLE):
        return found
    if not sys.stdin.isatty():
        raise StackError(f"no password: give --password-file, or set {PASSWORD_VARIABLE}")
    return str(typer.prompt("Password", hide_input=True))


def _summary(stack: Stack) -> None:
    from tools.report import print_summary

    print_summary(stack, console)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Expected failures as one message and exit status 1, without a traceback."""
    try:
        yield
    except StackError as fault:
        _fail(str(fault))


def _fail(message: str) -> NoReturn:
    Console(stderr=True, highlight=False).print("error:", message, markup=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    core_dumps.forbid()
    app(prog_name="bin/dataflow")
