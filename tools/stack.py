"""A stack of this checkout: its configuration, its secrets, and pulumi commands on it."""

import json
import re
import secrets
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dynamic_providers.credentials import SEED_KEY, derive
from dynamic_providers.local import control
from dynamic_providers.local.certificate_authority import ca_file
from dynamic_providers.local.directory import remove_empty
from dynamic_providers.stack import DOMAIN_KEY
from dynamic_providers.stack import Stack as Known
from settings import NAMESPACE, Settings, SettingsError, parse
from tools.paths import Paths, engine_environment

SEED_BYTES = 32
PASSPHRASE = "passphrase"  # noqa: S105 - the name of a provider
# https://www.pulumi.com/docs/iac/concepts/secrets/#available-encryption-providers
SECRETS_PROVIDER = re.compile(rf"{PASSPHRASE}|(awskms|azurekeyvault|gcpkms|hashivault)://.+")


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
    def ca_file(self) -> Path:
        """The authority that vouches for the stack's services."""
        return ca_file(str(self.directory))

    @property
    def trust(self) -> ssl.SSLContext:
        """How this machine's clients verify the stack's services: by its own authority, where
        they show its certificates, else as the rest of the world: below a domain a Gateway shows
        one of its own."""
        own = self.ca_file.exists() and not self.configuration().get(DOMAIN_KEY)
        return ssl.create_default_context(cafile=self.ca_file if own else None)

    @property
    def exists(self) -> bool:
        return self._state_file.exists()

    @property
    def _state_file(self) -> Path:
        return self.paths.state / ".pulumi" / "stacks" / "dataflow" / f"{self.name}.json"

    def create(self, secrets_provider: str | None = None) -> None:
        """The stack and its generated secret; does nothing when they are there.

        secrets_provider: what encrypts its secrets, `passphrase` or the URL of a key; None for
            what the settings file names, else the passphrase.
        Raises StackError for wrong settings before anything is made.
        """
        self._check_settings()
        provider = self.secrets_provider(secrets_provider)
        if not self.exists:
            # Said even if the file says it: the engine would overwrite that with its default.
            self._require("stack", "init", "--secrets-provider", provider)
        if SEED_KEY not in self.configuration():
            if self._deployed():
                # A new seed would change every password under services that keep the old ones.
                raise StackError(
                    f"stack {self.name!r} is deployed, but {self.config_file.name} does not hold "
                    f"its {SEED_KEY}: bring back the file as the last up left it"
                )
            self.set_secret(SEED_KEY, new_seed())

    @contextmanager
    def planned(self) -> Iterator[None]:
        """The stack for as long as a plan of it is made: one that has not been created is there
        in the block alone, with a seed of its own, and its settings file is as before. What `up`
        writes into a file that is shared, it writes when it is needed."""
        if self.exists and SEED_KEY in self.configuration():
            self._check_settings()
            yield
            return
        existed = self.exists
        settings = self.config_file.read_bytes() if self.config_file.exists() else None
        try:
            self.create()
            yield
        finally:
            if self.exists and not existed:
                self.answer("stack", "rm", "--yes", "--preserve-config")
                self._forget_authority()
            if settings is None:
                self.config_file.unlink(missing_ok=True)
            else:
                self.config_file.write_bytes(settings)

    def destroy(self) -> None:
        """Raises StackError when not everything could be removed."""
        if self.pulumi("destroy", "--yes", "--skip-preview"):
            raise StackError(
                "not everything could be removed: mend what the messages say, then run it again"
            )
        self._forget_authority()

    def _forget_authority(self) -> None:
        """Removes the authority's certificate. Where services run in containers the program itself
        writes it, in previews too, so no resource takes it away."""
        self.ca_file.unlink(missing_ok=True)
        remove_empty(self.ca_file.parent, self.directory)

    def _deployed(self) -> bool:
        """Whether the state holds any resource."""
        if not self.exists:
            return False
        checkpoint = json.loads(self._state_file.read_text()).get("checkpoint")
        return bool(((checkpoint or {}).get("latest") or {}).get("resources"))

    def secrets_provider(self, wanted: str | None) -> str:
        """`wanted`, else what the settings file names, else the passphrase. Raises StackError for
        one that is unknown, or not the one that the stack has."""
        recorded = str(_yaml(self.config_file).get("secretsprovider") or PASSPHRASE)
        provider = wanted or recorded
        if not SECRETS_PROVIDER.fullmatch(provider):
            raise StackError(
                f"secrets provider {provider!r}: expected {PASSPHRASE}, awskms://KEY, "
                "azurekeyvault://KEY, gcpkms://KEY or hashivault://KEY"
            )
        if self.exists and provider != recorded:
            raise StackError(
                f"secrets provider {provider!r}: stack {self.name!r} has {recorded!r}: change it "
                f"with bin/dataflow pulumi stack change-secrets-provider --stack {self.name} "
                f"'{provider}'"
            )
        return provider

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

    def seed(self) -> str:
        """In clear text."""
        return self.secret(SEED_KEY)

    def secret(self, key: str) -> str:
        """A value of the settings, in clear text."""
        self.require()
        return self.answer("config", "get", key).strip()

    def set_secret(self, key: str, value: str) -> None:
        # By standard input: arguments can be read by every process of the machine.
        self._require("config", "set", "--secret", key, stdin=value)

    def set(self, key: str, value: str) -> None:
        self._require("config", "set", key, value)

    def unset(self, key: str) -> None:
        self._require("config", "rm", key)

    def password(self, credential: str) -> str:
        """The credential called `credential`, in clear text."""
        return derive(self.seed(), credential)

    def resources(self) -> list[dict[str, Any]]:
        """As the state has them, with their secrets encrypted."""
        deployment = json.loads(self.answer("stack", "export"))["deployment"]
        return list(deployment.get("resources") or ())

    def url(self, service: str) -> str:
        return Known(config=self.configuration()).url(service)

    def configuration(self) -> dict[str, object]:
        """dict key -> value as the stack's settings file has it: secrets stay encrypted."""
        return dict(_yaml(self.config_file).get("config") or {})

    def settings(self) -> Settings:
        """Raises SettingsError for wrong ones."""
        schema = yaml.safe_load((self.paths.root / "Pulumi.yaml").read_text())["config"]
        defaults = {
            f"{NAMESPACE}:{key}": entry["default"]
            for key, entry in schema.items()
            if "default" in entry
        }
        return parse(self.name, _as_text({**defaults, **self.configuration()}))

    def _check_settings(self) -> None:
        try:
            self.settings()
        except SettingsError as fault:
            raise StackError(str(fault)) from None

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(self.paths.bin / "pulumi"), *arguments, "--stack", self.name]

    def _require(self, *arguments: str, stdin: str | None = None) -> None:
        if self.pulumi(*arguments, stdin=stdin):
            raise StackError(f"pulumi {' '.join(arguments[:2])} failed, see above")


def new_seed() -> str:
    return secrets.token_urlsafe(SEED_BYTES)


def _yaml(path: Path) -> Mapping[str, Any]:
    """Empty for a file that does not exist."""
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _as_text(config: Mapping[str, object]) -> dict[str, str]:
    """Values as the engine hands them to a program: JSON, but texts as they are."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
