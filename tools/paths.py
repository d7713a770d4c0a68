"""Where installed things, state and services live, and the environment of the engine."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PASSPHRASE_BYTES = 32  # of randomness: out of reach of guessing, whatever the key derivation
# Made by the bootstrap when the vendor's plugins were downloaded: the engine may then fetch more.
OFFICIAL_PLUGINS_MARK = "official-plugins"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """All under `home`, but `root`: the project's folder, which holds Pulumi.yaml.

    Nothing is created by asking for a path.
    """

    root: Path
    home: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> "Paths":
        """`home` is DATAFLOW_HOME, or `.dataflow` in the project. Raises ValueError when
        DATAFLOW_HOME is relative: services are started from other working folders."""
        home = environ.get("DATAFLOW_HOME")
        if not home:
            return cls(root=root, home=root / ".dataflow")
        if not Path(home).is_absolute():
            raise ValueError(f"DATAFLOW_HOME {home!r}: expected an absolute path")
        return cls(root=root, home=Path(home))

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def opt(self) -> Path:
        return self.home / "opt"

    @property
    def venv(self) -> Path:
        """The project's own environment; those of the tools are in `venvs`."""
        return self.root / ".venv"

    @property
    def venvs(self) -> Path:
        return self.home / "venvs"

    @property
    def cache(self) -> Path:
        """Downloads and compiler caches: may be deleted at any time."""
        return self.home / "cache"

    @property
    def pulumi_home(self) -> Path:
        return self.home / "pulumi"

    @property
    def state(self) -> Path:
        """The engine's backend: one JSON file per stack, with its history."""
        return self.home / "state"

    @property
    def passphrase_file(self) -> Path:
        return self.home / "passphrase"

    @property
    def logs(self) -> Path:
        """One log file per bootstrap step."""
        return self.home / "logs"

    @property
    def stamps(self) -> Path:
        """One file per finished bootstrap step, holding the key it was run for."""
        return self.home / "stamps"

    def stack_dir(self, stack: str) -> Path:
        return self.home / "stacks" / stack

    def service_dir(self, stack: str, name: str) -> Path:
        """Holds config/, data/ and logs/ of one service."""
        return self.stack_dir(stack) / "services" / name


def ensure_passphrase(paths: Paths) -> Path:
    """The file with the passphrase of all stacks' secrets, generated on the first call.

    Mode 0600. Written aside and linked into place: of two first calls at once one wins, and
    neither sees half a passphrase. Losing this file loses every secret in the state.
    """
    target = paths.passphrase_file
    if target.exists():
        return target
    paths.home.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_urlsafe(PASSPHRASE_BYTES))
    try:
        os.link(draft, target)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return target


def engine_environment(paths: Paths, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The whole environment in which `pulumi` runs, on top of the caller's.

    Makes the passphrase file and the state folder if they are missing.
    """
    ensure_passphrase(paths)
    paths.state.mkdir(parents=True, exist_ok=True)
    _keep_no_engine_logs(paths.pulumi_home / "logs")
    env = dict(environ)
    env["PATH"] = os.pathsep.join([str(paths.bin), environ.get("PATH", os.defpath)])
    env |= {
        "DATAFLOW_HOME": str(paths.home),
        "PULUMI_HOME": str(paths.pulumi_home),
        "PULUMI_BACKEND_URL": paths.state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(paths.passphrase_file),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "1",
        # Providers start programs; gRPC's fork handlers would only fill the output with notes.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }
    # The engine prefers this variable to the file: a stray one would make it open our stacks
    # with another passphrase.
    env.pop("PULUMI_CONFIG_PASSPHRASE", None)
    if not (paths.stamps / OFFICIAL_PLUGINS_MARK).exists():
        # Each package that the SDKs name, used or not, would be looked for on the network.
        env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return env


def _keep_no_engine_logs(place: Path) -> None:
    """An empty file in the place of the folder: the engine goes on without its logs then.

    It would write down every property of every resource, several times, asked or not: more than
    a quarter of its work in a preview, and one more place that holds what a stack is made of.
    There is no setting for it. Asked with -v, it still says all that it does.
    """
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
