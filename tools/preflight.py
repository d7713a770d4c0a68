"""What this machine must have, checked before anything is installed or started.

All problems are found first and told together, each with the next thing to do.
"""

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from tools.paths import Paths

GIB = 2**30
COLD_DISK_BYTES = 10 * GIB  # compilers' caches 5 GiB, venvs 2 GiB, services 1 GiB, their data
MEMORY_BYTES = 6 * GIB  # Elasticsearch 1.3, Superset 1, the embedded engines 2, the rest 1 GiB
SERVICE_USER = "dataflow"
PYTHONS = ((3, 11), (3, 12))  # requires-python in pyproject.toml

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that a step runs. minimum: () for any version."""

    minimum: Version
    next_step: str


PROGRAMS: Mapping[str, Program] = {
    "go": Program(minimum=(1, 26), next_step="install Go 1.26 or newer: https://go.dev/dl/"),
    "mvn": Program(
        minimum=(), next_step="install Apache Maven, for example: apt-get install maven"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """This machine, as far as it matters.

    versions: program -> version, () when it does not tell, None when it is missing.
    available_memory_bytes: None where the system does not tell.
    closed_folders: those which the service user cannot pass on the way to the project, to
        DATAFLOW_HOME or to the Python interpreter.
    """

    python: Version
    versions: Mapping[str, Version | None] = field(default_factory=dict)
    free_disk_bytes: int
    available_memory_bytes: int | None
    closed_folders: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    what: str
    next_step: str


def problems(facts: Facts, *, cold: bool) -> list[Problem]:
    """cold: something has to be installed, so that nothing runs yet and space is needed."""
    return [
        *_python_problems(facts),
        *_program_problems(facts),
        *_folder_problems(facts),
        *(_size_problems(facts) if cold else ()),
    ]


def check(paths: Paths, *, programs: Collection[str], cold: bool) -> list[Problem]:
    """The problems of this machine. Makes the service user when root and it is missing."""
    found = problems(gather(paths, programs), cold=cold)
    if not found and (problem := ensure_service_user()):
        found.append(problem)
    return found


def report(found: Collection[Problem], console: Console) -> None:
    for problem in found:
        console.print(f"[bold red]cannot start:[/] {problem.what}", highlight=False)
        console.print(f"  next: {problem.next_step}", markup=False, highlight=False)


def gather(paths: Paths, programs: Collection[str]) -> Facts:
    existing = next(p for p in (paths.home, *paths.home.parents) if p.exists())
    interpreter = Path(sys.executable).resolve()
    closed: tuple[Path, ...] = ()
    if service_user():
        closed = tuple(
            dict.fromkeys(
                folder
                for target in (paths.root, paths.home, interpreter.parent)
                for folder in _closed_to_others(target)
            )
        )
    return Facts(
        python=sys.version_info[:2],
        versions={name: version_of(name) for name in programs},
        free_disk_bytes=shutil.disk_usage(existing).free,
        available_memory_bytes=_available_memory(),
        closed_folders=closed,
    )


def service_user() -> str:
    """The user that services run as when this process is root, else "" (the same user):
    PostgreSQL and Elasticsearch refuse to run as root."""
    return SERVICE_USER if os.geteuid() == 0 else ""


def ensure_service_user() -> Problem | None:
    """Makes the service user if this process is root and it is missing."""
    if not service_user() or _exists(SERVICE_USER):
        return None
    if shutil.which("useradd"):
        command = [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            SERVICE_USER,
        ]
    elif shutil.which("adduser"):
        command = ["adduser", "-S", "-D", "-H", SERVICE_USER]  # BusyBox
    else:
        return Problem(
            what=f"running as root, and there is no user {SERVICE_USER!r} for the services",
            next_step=f"create a system user {SERVICE_USER!r}, or run as an ordinary user",
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0 or _exists(SERVICE_USER):  # made by another run at the same moment
        return None
    return Problem(
        what=f"the user {SERVICE_USER!r} cannot be created: {done.stderr.strip()}",
        next_step=f"create the system user {SERVICE_USER!r}, or run as an ordinary user",
    )


def find_go(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The `go` on PATH, or the one where go.dev's archive is unpacked by custom."""
    usual = Path("/usr/local/go/bin/go")
    if on_path := shutil.which("go", path=environ.get("PATH")):
        return Path(on_path)
    return usual if usual.exists() else None


def version_of(program: str) -> Version | None:
    """None when it is missing, () when it does not tell."""
    if program == "go":
        go = find_go()
        return _ask_version(go, "version") if go else None
    return () if shutil.which(program) else None


def _ask_version(program: Path, argument: str) -> Version | None:
    try:
        done = subprocess.run(  # noqa: S603
            [program, argument], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+(\.\d+)*", done.stdout + done.stderr)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _python_problems(facts: Facts) -> Iterator[Problem]:
    if facts.python not in PYTHONS:
        yield Problem(
            what=f"Python {_dotted(facts.python)}: expected 3.11 or 3.12",
            next_step="start through bin/dataflow, which looks for a fitting one",
        )


def _program_problems(facts: Facts) -> Iterator[Problem]:
    for name, version in facts.versions.items():
        needed = PROGRAMS.get(name, Program(minimum=(), next_step=f"install {name}"))
        if version is None:
            older = f" {_dotted(needed.minimum)} or newer" if needed.minimum else ""
            yield Problem(what=f"{name}{older} is missing", next_step=needed.next_step)
        elif version and version < needed.minimum:
            yield Problem(
                what=f"{name} {_dotted(version)}: expected {_dotted(needed.minimum)} or newer",
                next_step=needed.next_step,
            )


def _folder_problems(facts: Facts) -> Iterator[Problem]:
    for folder in facts.closed_folders:
        yield Problem(
            what=f"services run as the user {SERVICE_USER!r}, who may not pass {folder}",
            next_step=(
                f"chmod o+x {folder}, or move the project (and DATAFLOW_HOME) to a public place "
                "such as /opt/dataflow, or run as an ordinary user"
            ),
        )


def _size_problems(facts: Facts) -> Iterator[Problem]:
    if facts.free_disk_bytes < COLD_DISK_BYTES:
        yield Problem(
            what=f"{facts.free_disk_bytes / GIB:.1f} GiB of disk free: expected "
            f"{COLD_DISK_BYTES // GIB} GiB for the first installation",
            next_step="free some, or set DATAFLOW_HOME to a folder on a larger disk",
        )
    memory = facts.available_memory_bytes
    if memory is not None and memory < MEMORY_BYTES:
        yield Problem(
            what=f"{memory / GIB:.1f} GiB of memory available: expected {MEMORY_BYTES // GIB} GiB",
            next_step="stop other programs, or use a larger machine",
        )


def _closed_to_others(target: Path) -> Iterator[Path]:
    """Existing folders from / down to target that others may not pass."""
    for folder in (*reversed(target.parents), target):
        if folder.exists() and not _passable(folder):
            yield folder


def _passable(folder: Path) -> bool:
    status = folder.stat()
    if status.st_mode & stat.S_IXOTH:
        return True
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return False
    if status.st_uid == user.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    members = {g.gr_gid for g in grp.getgrall() if SERVICE_USER in g.gr_mem} | {user.pw_gid}
    return status.st_gid in members and bool(status.st_mode & stat.S_IXGRP)


def _available_memory() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text()
    except FileNotFoundError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)
