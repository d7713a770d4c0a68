"""The folder of a service: `<stackDir>/services/<name>/`.

config/  `files` (0640) and `secretFiles` (0600, the service user's own); the service may add files
config/tls/  the service's certificate, a resource of its own (certificate.py)
data/    the service's own; also its home and working directory
logs/    what it prints, written by supervisord or the job runner, so the service can only read it
run      the command of a process
"""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dynamic_providers.handler import InputError, Props
from dynamic_providers.local.account import Account

TAIL_LINES = 20
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class ServiceDirectory:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config"

    @property
    def tls(self) -> Path:
        return self.config / "tls"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def log(self) -> Path:
        return self.logs / f"{self.name}.log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def pending(self) -> Path:
        """Exists while a change is half-made: the process may not run with what the files say."""
        return self.path / "pending"

    @property
    def _manifest(self) -> Path:
        return self.path / "files.json"

    def make(self, account: Account) -> None:
        """Folders with their owners and modes. Raises InputError if `account` cannot get there."""
        for folder in (self.path.parent.parent, self.path.parent):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o755)
        # In a sticky folder the service can add files, but not replace those of root.
        for folder, mode, owner in (
            (self.path, 0o750, None),
            (self.config, 0o1770, None),
            (self.data, 0o700, account),
            (self.logs, 0o750, None),
        ):
            folder.mkdir(exist_ok=True)
            _own(folder, account, mode, owned=owner is not None)
        reachable = subprocess.run(  # noqa: S603
            ["/usr/bin/test", "-x", str(self.data)], cwd="/", check=False, **account.popen()
        )
        if reachable.returncode:
            closed = _first_closed(self.path)
            raise InputError(
                "stackDir",
                f"{str(self.path)!r}: user {account.login!r} cannot enter {str(closed)!r}: move "
                f"the project to a folder that it can read, or run chmod o+x {closed}",
            )

    def write(
        self, account: Account, files: Mapping[str, str], secret_files: Mapping[str, str]
    ) -> None:
        """Brings config/ to these files; what an earlier version wrote and is not among them
        goes."""
        for stale in self._written() - {*files, *secret_files}:
            (self.config / stale).unlink(missing_ok=True)
        self._manifest.write_text(json.dumps(sorted({*files, *secret_files})))
        for path, content in files.items():
            self.write_file(path, content, account, secret=False)
        for path, content in secret_files.items():
            self.write_file(path, content, account, secret=True)

    def _written(self) -> set[str]:
        try:
            return set(json.loads(self._manifest.read_text()))
        except (FileNotFoundError, ValueError):
            return set()

    def write_file(self, path: str, content: str, account: Account, *, secret: bool) -> None:
        """path: relative to config/."""
        target = self.config / path
        for folder in reversed(target.relative_to(self.config).parents[:-1]):
            folder = self.config / folder
            folder.mkdir(exist_ok=True)
            _refuse_foreign(folder)
            _own(folder, account, 0o750, owned=False)
        write_atomically(target, content, account, 0o600 if secret else 0o640, owned=secret)

    def read_files(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> content of those that exist."""
        found = {}
        for path in sorted(paths):
            content = _read_plain(self.config / path)
            if content is not None:
                found[path] = content
        return found

    def tail(self, log: Path, start_byte: int = 0) -> list[str]:
        """The last TAIL_LINES lines that `log` got after `start_byte`."""
        try:
            with log.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                start = start_byte if start_byte <= size else 0  # it was rotated meanwhile
                stream.seek(max(start, size - TAIL_BYTES))
                lines = stream.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return lines[-TAIL_LINES:]

    def remove(self, *, keep_data: bool) -> None:
        """Without the configuration; and without data and logs, unless they are kept. The
        certificate stays in any case: its own resource removes it."""
        _empty(self.config, but=(self.tls,))
        for file in (self.run, self._manifest, self.pending):
            file.unlink(missing_ok=True)
        if not keep_data:
            _empty(self.path, but=(self.config,))
        remove_empty(self.config, self.path, self.path.parent, self.path.parent.parent)

    def remove_certificate(self) -> None:
        _empty(self.tls)
        own = (self.tls, self.config, self.data, self.logs)
        remove_empty(*own, self.path, self.path.parent, self.path.parent.parent)


def of(props: Props) -> ServiceDirectory:
    return ServiceDirectory(Path(props["stackDir"]) / "services" / props["name"])


def _empty(folder: Path, but: tuple[Path, ...] = ()) -> None:
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            if entry not in but:
                shutil.rmtree(entry)
        else:
            entry.unlink()


def remove_empty(*folders: Path) -> None:
    """Removes the folders that are empty, in this order."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_atomically(
    target: Path, content: str, account: Account, mode: int, *, owned: bool
) -> None:
    """Never follows a link and never leaves half a file: written beside, then renamed."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if account.popen():
                os.fchown(stream.fileno(), account.uid if owned else 0, account.gid)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _own(folder: Path, account: Account, mode: int, *, owned: bool) -> None:
    if account.popen():
        os.chown(folder, account.uid if owned else 0, account.gid, follow_symlinks=False)
    folder.chmod(mode)


def _refuse_foreign(folder: Path) -> None:
    # config/ is open to the service: a link that it planted must not lead root elsewhere.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise InputError("files", f"{str(folder)!r}: expected a folder of the stack: remove it")


def _read_plain(path: Path) -> str | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return None  # a link: not the file that was written
    with os.fdopen(handle, "r", encoding="utf-8", errors="replace", newline="") as stream:
        return stream.read() if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None


def _first_closed(path: Path) -> Path:
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return path
