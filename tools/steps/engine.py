"""The engine: Pulumi's CLI with a Python language host, provider plugins, and MinIO.

Each by the first route that works, which is printed: what is installed already in the right
version, the vendor's own download, a build from Go modules.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tools import golang, vendor
from tools.paths import OFFICIAL_PLUGINS_MARK, Paths, engine_environment
from tools.step import Log, Step, StepError, copy_executable, digest

PULUMI = "pulumi"
MINIO = "minio"
PLUGINS = "plugins"

# Beside the CLI, which looks for them there.
CLI_FILES = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)
MINIO_PROGRAMS = ("minio", "mc")
# First release without the privilege escalation CVE-2025-62506. Since that release MinIO is
# published as source only, so there is no vendor's download to prefer.
MINIO_OLDEST = "2025-10-15"
# Those that plugins/ has a stand-in for.
PROVIDERS = ("minio", "postgresql", "elasticstack", "docker", "kubernetes")
PLUGIN_TIMEOUT_S = 300.0
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"


def steps(paths: Paths) -> list[Step]:
    """In the order in which they should start: the longest first."""
    engine, minio = paths.root / "tools/engine", paths.root / "tools/minio"
    return [
        Step(
            name=PULUMI,
            key=digest(cli_version(), engine),
            run=lambda log: _install_cli(paths, engine, log),
            outputs=tuple(paths.bin / name for name in CLI_FILES),
            heavy=True,
            doing="installing; a build takes 4 minutes the first time",
            hint=golang.HINT,
        ),
        Step(
            name=MINIO,
            key=digest(MINIO_OLDEST, minio),
            run=lambda log: _install_minio(paths, minio, log),
            outputs=tuple(paths.bin / name for name in MINIO_PROGRAMS),
            heavy=True,
            doing="installing; a build takes 3 minutes the first time",
            hint=golang.HINT,
        ),
        Step(
            name=PLUGINS,
            key=digest(str(paths.root), *(str(provider) for provider in _providers())),
            run=lambda log: _install_plugins(paths, log),
            needs=(PULUMI,),
            outputs=tuple(provider.folder(paths) for provider in _providers()),
            doing="installing provider plugins",
        ),
    ]


def programs(paths: Paths, todo: Collection[Step]) -> set[str]:
    """The programs that these steps of ours need on the routes that they will take."""
    names = {step.name for step in todo}
    cli_is_built = (
        PULUMI in names and not _cli_on_path(paths) and not vendor.reachable(vendor.RELEASES)
    )
    minio_is_built = MINIO in names and not _minio_on_path(paths)
    return {"go"} if cli_is_built or minio_is_built else set()


def cli_version() -> str:
    """Of the CLI, for example `3.259.0`: CLI and Python SDK must agree."""
    return metadata.version("pulumi")


def _install_cli(paths: Paths, source: Path, log: Log) -> None:
    with log.scratch() as draft:
        if folder := _cli_on_path(paths):
            log.say(f"taking Pulumi {cli_version()} from {folder}")
            _copy_cli(folder, draft)
        elif vendor.reachable(vendor.RELEASES):
            log.say(f"downloading Pulumi {cli_version()} from {vendor.RELEASES}")
            _download_cli(draft, log)
        else:
            log.say(f"{vendor.RELEASES} cannot be reached: building from Go modules")
            _build_cli(source, draft, log)
        # The CLI last: what is found beside it must fit it.
        for name in sorted(os.listdir(draft), reverse=True):
            if (draft / name).is_file():
                log.publish(draft / name, paths.bin / name)


def _cli_on_path(paths: Paths) -> Path | None:
    """The folder of a complete CLI of our version that is not our own."""
    found = shutil.which("pulumi", path=_foreign_path(paths))
    if not found:
        return None
    folder = Path(found).resolve().parent
    if not all((folder / name).exists() for name in CLI_FILES):
        return None
    return folder if f"v{cli_version()}" == _first_line(found, "version") else None


def _copy_cli(folder: Path, draft: Path) -> None:
    for path in folder.iterdir():
        if _is_ours(path.name):
            copy_executable(path, draft / path.name)


def _is_ours(name: str) -> bool:
    """Of the CLI's many programs those for Python."""
    return name in CLI_FILES or name == "pulumi-analyzer-policy-python"


def _download_cli(draft: Path, log: Log) -> None:
    version = cli_version()
    release = f"{vendor.RELEASES}/pulumi/pulumi/releases/download/v{version}"
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine()
    )
    name = f"pulumi-v{version}-{platform.system().lower()}-{machine}.tar.gz"
    archive = draft / "archive" / name
    archive.parent.mkdir()
    sha256 = vendor.published_sha256(f"{release}/pulumi-{version}-checksums.txt", name)
    vendor.download(f"{release}/{name}", archive, sha256=sha256)
    log.write(f"{name}: sha256 {sha256}")
    with tarfile.open(archive) as packed:
        for entry in packed:
            target = draft / Path(entry.name).name
            if _is_ours(target.name) and (content := packed.extractfile(entry)):
                with target.open("wb") as out:
                    shutil.copyfileobj(content, out)


def _build_cli(source: Path, draft: Path, log: Log) -> None:
    version = cli_version()
    pinned = golang.pinned(source, SDK_MODULE)
    if pinned != f"v{version}":
        raise StepError(
            f"tools/engine/go.mod pins {pinned}, the Python SDK is {version}",
            "change pulumi in pyproject.toml and tools/engine/go.mod together",
        )
    golang.build(
        source,
        draft,
        ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "./pulumi-language-python"],
        log,
        tags="osusergo,grpcnotrace",
        ldflags=f"-s -w -X {SDK_MODULE}/go/common/version.Version=v{version}",
    )
    listed = golang.run(["list", "-m", "-f", "{{.Dir}}", SDK_MODULE], source, log)
    sdk = Path(listed.splitlines()[-1])
    for part in (
        "python/cmd/pulumi-language-python-exec",
        "python/dist/pulumi-resource-pulumi-python",
    ):
        copy_executable(sdk / part, draft / Path(part).name)


def _install_minio(paths: Paths, source: Path, log: Log) -> None:
    with log.scratch() as draft:
        if found := _minio_on_path(paths):
            log.say(f"taking {', '.join(MINIO_PROGRAMS)} from PATH")
            for program in found:
                copy_executable(program, draft / program.name)
        else:
            log.say("building from Go modules: MinIO is published as source only")
            golang.build(
                source,
                draft,
                [f"github.com/minio/{name}" for name in MINIO_PROGRAMS],
                log,
                ldflags="-s -w",
            )
        for name in MINIO_PROGRAMS:
            log.publish(draft / name, paths.bin / name)


def _minio_on_path(paths: Paths) -> list[Path]:
    """Both programs, released since MINIO_OLDEST, or nothing."""
    found = [shutil.which(name, path=_foreign_path(paths)) for name in MINIO_PROGRAMS]
    for program in found:
        release = re.search(
            r"RELEASE\.(\d{4}-\d\d-\d\d)", _first_line(program, "--version") if program else ""
        )
        # mc has no fix of its own at that date: its last release is older than the server's.
        if not release or (program == found[0] and release[1] < MINIO_OLDEST):
            return []
    return [Path(program) for program in found if program]


@dataclass(frozen=True, kw_only=True)
class _Provider:
    """A plugin, in exactly the version that its Python SDK asks the engine for."""

    name: str
    version: str
    server: str  # download address for those that Pulumi itself does not publish, or ""

    def folder(self, paths: Paths) -> Path:
        return paths.pulumi_home / "plugins" / f"resource-{self.name}-v{self.version}"


def _providers() -> list[_Provider]:
    found = []
    for name in PROVIDERS:
        package = metadata.distribution(f"pulumi-{name}")
        file = package.locate_file(f"pulumi_{name}/pulumi-plugin.json")
        described = json.loads(Path(str(file)).read_text())
        found.append(
            _Provider(
                name=name,
                version=described.get("version") or package.version,
                server=described.get("server", ""),
            )
        )
    return found


def _install_plugins(paths: Paths, log: Log) -> None:
    official = paths.stamps / OFFICIAL_PLUGINS_MARK
    providers = _providers()
    if vendor.reachable(vendor.RELEASES):
        try:
            for provider in providers:
                _install_official(paths, provider, log)
        except StepError as error:
            log.say(f"official plugins cannot be installed ({error}): taking plugins/ instead")
        else:
            log.say("official plugins installed")
            official.parent.mkdir(parents=True, exist_ok=True)
            official.touch()
            return
    else:
        log.say(
            f"{vendor.RELEASES} cannot be reached: taking plugins/, which serve the same types"
        )
    official.unlink(missing_ok=True)
    for provider in providers:
        _install_own(paths, provider, log)


def _install_official(paths: Paths, provider: _Provider, log: Log) -> None:
    server = ["--server", provider.server] if provider.server else []
    log.run(
        [
            paths.bin / "pulumi",
            "plugin",
            "install",
            "resource",
            provider.name,
            f"v{provider.version}",
            "--reinstall",
            *server,
        ],
        env=engine_environment(paths),
        timeout_s=PLUGIN_TIMEOUT_S,
    )


def _install_own(paths: Paths, provider: _Provider, log: Log) -> None:
    """A launcher for `plugins.<name>`. -P: the folder in which the engine starts it must not
    come before the project's own packages."""
    with log.staged(provider.folder(paths)) as folder:
        launcher = folder / f"pulumi-resource-{provider.name}"
        python = shlex.quote(str(paths.venv / "bin/python"))
        launcher.write_text(
            "#!/bin/sh\n"
            f"PYTHONPATH={shlex.quote(str(paths.root))} "
            f'exec {python} -P -m plugins.{provider.name} "$@"\n'
        )
        launcher.chmod(0o755)


def _foreign_path(paths: Paths) -> str:
    """PATH without our own bin folder."""
    return os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if folder and Path(folder) != paths.bin
    )


def _first_line(program: str, argument: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            [program, argument],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0]
