"""Previews and drift of a stack as reviews: runs the engine and hands its answer to `review`."""

import functools
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from rich.console import Console
from rich.markdown import Markdown

from dynamic_providers.airbyte.resources import AirbyteProvider
from dynamic_providers.credentials import SEED_KEY
from dynamic_providers.dremio.resources import DremioProvider
from dynamic_providers.stack import Stack as Known
from review.cli import FORMATS, GATE, NEVER, judge, reaches, read, written
from review.live import Live, reachable
from review.preview import PreviewError, with_policy_events
from review.report import Review
from review.repository import RepositoryError
from review.risk import Grade
from settings import SettingsError
from tools.paths import engine_environment
from tools.policing import pack_arguments
from tools.report import LOGINS
from tools.stack import Stack, StackError

__all__ = ["GATE", "reaches"]  # the commands take these from here too

DRIFT = ("refresh", "--preview-only", "--run-program")


def check_choices(format_: str, fail_on: str) -> None:
    """Raises StackError for a value that there is not."""
    choices = {"--format": (format_, FORMATS), "--fail-on": (fail_on, (*Grade, NEVER))}
    for option, (value, valid) in choices.items():
        if value not in valid:
            raise StackError(f"{option} {value!r}: expected one of {', '.join(valid)}")


def text_of(path: Path) -> str:
    """Raises StackError."""
    try:
        return path.read_text()
    except OSError as fault:
        raise StackError(f"--preview {path}: {fault.strerror}") from None


def write_private(path: Path, text: str) -> None:
    """For the user alone: a preview holds what nobody has marked as secret."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


def show(
    stack: Stack, found: Review, title: str, format_: str, output: Path | None, console: Console
) -> None:
    """Writes the review to `output`, or prints it. Raises StackError."""
    text = written(found, format_=format_, title=title, secrets=secrets_of(stack))
    if output is not None:
        output.write_text(text)
    elif format_ == "terminal":
        console.print(Markdown(text))
    else:
        print(text, end="")


def planned(stack: Stack) -> str:
    """JSON of what `up` would change, with the policies that fail."""
    return _engine(stack, ["preview", *pack_arguments(stack)])


def drifted(stack: Stack) -> str:
    """JSON of how the services differ from what the last run left."""
    return _engine(stack, DRIFT)


def _engine(stack: Stack, arguments: Sequence[str]) -> str:
    """Raises StackError when the engine has nothing to show. A preview with failing policies or
    errors has: they are part of it."""
    with tempfile.TemporaryDirectory() as folder:  # mode 0700: the log repeats every input
        events = Path(folder) / "events.jsonl"
        command = [str(stack.paths.bin / "pulumi"), *arguments, "--json", "--non-interactive"]
        done = subprocess.run(  # noqa: S603
            [*command, "--event-log", str(events), "--stack", stack.name],
            cwd=stack.paths.root,
            # The engine offers its event log under this switch only, and its JSON leaves out
            # which policies fail.
            env=engine_environment(stack.paths) | {"PULUMI_DEBUG_COMMANDS": "true"},
            capture_output=True,
            text=True,
        )
        log = events.read_text() if events.exists() else ""
    try:
        return with_policy_events(done.stdout, log)
    except PreviewError:
        raise StackError(done.stderr.strip() or done.stdout.strip()) from None


@functools.cache  # the engine takes seconds to open a stack's secrets
def configuration(stack: Stack) -> dict[str, tuple[str, bool]]:
    """dict key -> decrypted value, whether it is secret."""
    found = json.loads(stack.answer("config", "--show-secrets", "--json"))
    return {
        key: (str(entry.get("value", "")), bool(entry.get("secret")))
        for key, entry in found.items()
    }


def secrets_of(stack: Stack) -> list[str]:
    """Secret texts of a stack: none of them may be shown."""
    if not stack.exists:
        return []
    config = configuration(stack)
    found = [value for value, secret in config.values() if secret]
    known = Known(config={key: value for key, (value, _secret) in config.items()})
    if config.get(SEED_KEY):
        found += [known.credential(name) for name in {login.credential for login in LOGINS}]
    return found


def running(stack: Stack) -> Live:
    """The services of a stack that answer now."""
    if not stack.exists:
        return Live()
    known = Known(config={key: value for key, (value, _secret) in configuration(stack).items()})

    def answers(service: str) -> bool:
        return reachable(known.url(service))

    return Live(
        dremio=DremioProvider.connect(known) if answers("dremio") else None,
        airbyte=AirbyteProvider.connect(known) if answers("airbyte") else None,
        store=_store(known) if answers("minio") else None,
        services=stack.directory / "services",
    )


def _store(known: Known) -> Minio:
    address = urlsplit(known.url("minio"))
    user, secret = known.login("minio", "minio-root", "minio-root")
    trust = known.trust("minio")
    pool = urllib3.PoolManager(
        ssl_context=trust if isinstance(trust, ssl.SSLContext) else None, retries=False
    )
    return Minio(
        address.netloc,
        access_key=user,
        secret_key=secret,
        secure=address.scheme == "https",
        http_client=pool,
    )


def reviewed(
    stack: Stack, text: str, *, live: Live, sarif: Sequence[Path] = (), base: str = ""
) -> Review:
    """Raises StackError."""
    try:
        settings = stack.settings()
        return judge(
            read(text, [path.read_text() for path in sarif]),
            root=stack.paths.root,
            flow=settings.load_flow(),
            flow_name=settings.flow,
            base=base,
            measure=live.measure,
        )
    except (PreviewError, RepositoryError, SettingsError, OSError) as fault:
        raise StackError(str(fault)) from None
