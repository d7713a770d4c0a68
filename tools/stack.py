"""A stack of this checkout: its configuration, its secrets, and pulumi commands on it."""

import json
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from dynamic_providers import endpoints
from dynamic_providers.credentials import SEED_KEY, derive
from dynamic_providers.local import control
from dynamic_providers.stack import PORT_OFFSET_KEY
from settings import NAMESPACE, SettingsError, parse
from tools.paths import Paths, engine_environment

SEED_BYTES = 32


class StackError(Exception):
    """A stack that cannot be used as asked; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack, by name. Its settings are in `Pulumi.<name>.yaml` at the project's root."""

    name: str
    paths: Paths

    @property
    def config_file(self) -> Path:
        return self.paths.root / f"Pulumi.{self.name}.yaml"

    @property
    def directory(self) -> Path:
        return self.paths.stack_dir(self.name)

    @property
    def exists(self) -> bool:
        stacks = self.paths.state / ".pulumi" / "stacks" / "dataflow"
        return (stacks / f"{self.name}.json").exists()

    def create(self) -> None:
        """The stack and its generated secret; does nothing when they are there.

        Raises StackError for wrong settings before anything is made.
        """
        self._check_settings()
        if not self.exists:
            self._require("stack", "init", "--secrets-provider", "passphrase")
        if SEED_KEY not in self.configuration():
            # By standard input: arguments can be read by every process of the machine.
            seed = secrets.token_urlsafe(SEED_BYTES)
            self._require("config", "set", "--secret", SEED_KEY, stdin=seed)

    def require(self) -> None:
        """Raises StackError unless the stack has been created."""
        if not self.exists:
            raise StackError(
                f"stack {self.name!r} does not exist: create it with "
                f"bin/dataflow up --stack {self.name}"
            )

    def revive(self) -> None:
        """Starts the services again after the machine did; does nothing while they run.

        A plain `up` would see no difference: the state says that they run.
        """
        supervisor = control.of(str(self.directory))
        if supervisor.config.exists() and not supervisor.alive():
            targets = (f"--target=**{kind}**" for kind in ("local:Supervisor", "local:Process"))
            self._require("up", "--yes", "--skip-preview", "--refresh", *targets)

    def pulumi(self, *arguments: str, stdin: str | None = None) -> int:
        """Runs pulumi on this stack with the terminal as its output. Returns its exit code.

        Ctrl-C reaches pulumi too: it finishes the steps under way, saves its state and ends.
        """
        process = subprocess.Popen(  # noqa: S603
            self._command(arguments),
            cwd=self.paths.root,
            env=engine_environment(self.paths),
            stdin=subprocess.PIPE if stdin is not None else None,
            text=True,
        )
        while True:
            try:
                process.communicate(stdin)
                return process.returncode
            except KeyboardInterrupt:
                stdin = None

    def answer(self, *arguments: str) -> str:
        """What a pulumi command prints. Raises StackError with its messages when it fails."""
        done = subprocess.run(  # noqa: S603
            self._command(arguments),
            cwd=self.paths.root,
            env=engine_environment(self.paths),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise StackError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def password(self, credential: str) -> str:
        """The credential called `credential`, in clear text."""
        self.require()
        return derive(self.answer("config", "get", SEED_KEY).strip(), credential)

    def url(self, service: str) -> str:
        offset = self.configuration().get(PORT_OFFSET_KEY, 0)
        return endpoints.url(service, int(str(offset)))

    def configuration(self) -> dict[str, object]:
        """dict key -> value as the stack's settings file has it: secrets stay encrypted."""
        if not self.config_file.exists():
            return {}
        return dict((yaml.safe_load(self.config_file.read_text()) or {}).get("config") or {})

    def _check_settings(self) -> None:
        schema = yaml.safe_load((self.paths.root / "Pulumi.yaml").read_text())["config"]
        defaults = {
            f"{NAMESPACE}:{key}": entry["default"]
            for key, entry in schema.items()
            if "default" in entry
        }
        try:
            parse(self.name, _as_text({**defaults, **self.configuration()})).require_built()
        except SettingsError as fault:
            raise StackError(str(fault)) from None

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(self.paths.bin / "pulumi"), *arguments, "--stack", self.name]

    def _require(self, *arguments: str, stdin: str | None = None) -> None:
        if self.pulumi(*arguments, stdin=stdin):
            raise StackError(f"pulumi {' '.join(arguments[:2])} failed, see above")


def _as_text(config: Mapping[str, object]) -> dict[str, str]:
    """Values as the engine hands them to a program: JSON, but texts as they are."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
