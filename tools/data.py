"""The data of one service, for copies of what has no other way out or in: its files.

One class per way to keep them, behind one interface.
"""

import os
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from dynamic_providers.local.account import account
from dynamic_providers.local.control import Control
from dynamic_providers.local.directory import ServiceDirectory
from dynamic_providers.waiting import wait_for
from plugins.docker.client import DockerClient
from plugins.kind import ServiceError
from tools.preflight import service_user
from tools.stack import Stack, StackError

CONTAINER = "docker:index/container:Container"
FILES = "files"  # suffix of the containers that are never started, and put files into a volume
READ_BYTES = 1 << 20


class Data(Protocol):
    def left_behind(self) -> str:
        """What there is of it, for people, though the stack is not deployed; "" for nothing.
        Raises StackError."""

    def save(self, names: Sequence[str], out: tarfile.TarFile) -> None:
        """Adds those of these files and folders that there are, all as they are at one moment:
        what the service finds after a crash. Raises StackError."""

    def needs(self) -> Sequence[str]:
        """What of the service must be deployed before `place`, as parts of URNs."""

    def place(self, archive: BinaryIO, below: str = "") -> None:
        """Puts the files of a tar archive there, in place of a folder `below` it. A service that
        runs stops before and starts after. May be done again after an interruption. Raises
        StackError."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Of a supervised process of this machine."""

    directory: ServiceDirectory
    supervisor: Control

    def left_behind(self) -> str:
        data = self.directory.data
        return str(data) if data.exists() and any(data.iterdir()) else ""

    def save(self, names: Sequence[str], out: tarfile.TarFile) -> None:
        data = self.directory.data
        with self._frozen():
            for name in names:
                if (data / name).exists():
                    out.add(data / name, name)

    def needs(self) -> Sequence[str]:
        return ()

    def place(self, archive: BinaryIO, below: str = "") -> None:
        runner = account(service_user())
        self.directory.make(runner)
        target = self.directory.data / below
        if below and target.exists():
            shutil.rmtree(target)
        with tarfile.open(fileobj=archive, mode="r|") as files:
            files.extractall(target)  # noqa: S202 - sealed, so that it is what was saved
        for path in (target, *target.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if runner.popen():
                shutil.chown(path, runner.uid, runner.gid)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        info = self.supervisor.info(self.directory.name)
        if info is None or not info.up:
            yield  # nothing writes
            return
        os.killpg(info.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(info.pid, signal.SIGCONT)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Of a container of a Docker engine, which may be another machine's. connect: to the engine,
    once the stack has been created."""

    stack: Stack
    service: str
    connect: Callable[[], DockerClient]

    def left_behind(self) -> str:
        volume = f"dataflow-{self.stack.name}-{self.service}"
        with _told():
            return f"volume {volume}" if self.connect().get("volumes", volume) else ""

    def save(self, names: Sequence[str], out: tarfile.TarFile) -> None:
        container, engine = self._declared("container"), self.connect()
        with _told(), _frozen(engine, container["name"]):
            for name in names:
                path = Path(container["workingDir"]) / name
                with engine.files(container["name"], str(path)) as found:
                    for member in found or ():
                        out.addfile(member, _content(found, member))

    def needs(self) -> Sequence[str]:
        return [f"::{self.service}-{part}" for part in ("service", "volume", FILES)]

    def place(self, archive: BinaryIO, below: str = "") -> None:
        placing, engine = self._declared(FILES), self.connect()
        (mount,) = placing["mounts"]
        user = int(placing["user"].partition(":")[0])
        folder = Path(mount["target"]) / "data"
        with _told(), _stopped(engine, self._found("container")):
            if below:
                _remove(engine, placing, folder / below)
            engine.send(
                *("PUT", "containers", placing["name"], "archive"),
                content=owned(archive, user, below),
                timeout_s=None,
                path=str(folder),
            )

    def _declared(self, part: str) -> Mapping[str, Any]:
        """Outputs of a container of the service. Raises StackError when there is none."""
        if found := self._found(part):
            return found
        raise StackError(
            f"stack {self.stack.name!r} has no container '{self.service}-{part}': run "
            f"bin/dataflow up --stack {self.stack.name}"
        )

    def _found(self, part: str) -> Mapping[str, Any] | None:
        for one in self.stack.resources():
            if one["type"] == CONTAINER and one["urn"].endswith(f"::{self.service}-{part}"):
                outputs: Mapping[str, Any] = one["outputs"]
                return outputs
        return None


@contextmanager
def _frozen(engine: DockerClient, container: str) -> Iterator[None]:
    live = engine.get("containers", container, "json")
    if live is None or not live["State"]["Running"]:
        yield  # nothing writes
        return
    engine.send("POST", "containers", container, "pause")
    try:
        yield
    finally:
        engine.send("POST", "containers", container, "unpause")


@contextmanager
def _stopped(engine: DockerClient, container: Mapping[str, Any] | None) -> Iterator[None]:
    """Not started after a failure: half of its data would be all that it knows."""
    if container is None:
        yield  # it has never run
        return
    name = container["name"]
    engine.send("POST", "containers", name, "stop", timeout_s=None)
    yield
    engine.send("POST", "containers", name, "start")
    try:
        wait_for(lambda: _healthy(engine, name), container["waitTimeout"], f"container {name!r}")
    except TimeoutError as fault:
        # Not what it printed: that may hold secrets.
        raise StackError(f"{fault}: see docker logs {name}") from None


def _healthy(engine: DockerClient, container: str) -> bool | None:
    state = engine.send("GET", "containers", container, "json")["State"]
    return state["Health"]["Status"] == "healthy" or None


def _remove(engine: DockerClient, placing: Mapping[str, Any], path: Path) -> None:
    """A folder of the volume that the container `placing` puts files into."""
    (mount,) = placing["mounts"]
    name = f"{placing['name']}-removing"
    engine.send("DELETE", "containers", name, absent=(404,), force="true")
    body = {
        "Image": placing["image"],
        "Entrypoint": ["rm", "-rf", str(path)],
        "User": placing["user"],
        "HostConfig": {
            "Mounts": [{"Type": "volume", "Source": mount["source"], "Target": mount["target"]}],
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
        },
    }
    engine.send("POST", "containers", "create", body=body, name=name)
    try:
        engine.send("POST", "containers", name, "start")
        code = engine.send("POST", "containers", name, "wait", timeout_s=None)["StatusCode"]
        if code:
            raise StackError(f"{path} cannot be removed: {engine.logs(name, 10)}")
    finally:
        engine.send("DELETE", "containers", name, force="true")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ServiceError as fault:
        raise StackError(str(fault)) from None


def owned(archive: BinaryIO, user: int, below: str) -> Iterator[bytes]:
    """The tar archive with all files in a folder `below`, the user's own and nobody else's."""
    with tarfile.open(fileobj=archive, mode="r|") as files:
        if below:
            folder = tarfile.TarInfo(below)
            folder.type = tarfile.DIRTYPE
            yield _header(folder, user, below)
        for member in files:
            yield _header(member, user, str(Path(below, member.name)))
            if content := _content(files, member):
                while part := content.read(READ_BYTES):
                    yield part
                yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _content(archive: tarfile.TarFile | None, member: tarfile.TarInfo) -> Any:
    return archive.extractfile(member) if archive and member.isreg() else None


def _header(member: tarfile.TarInfo, user: int, name: str) -> bytes:
    made = copy(member)
    made.name, made.mode = name, 0o700 if member.isdir() else 0o600
    made.uid, made.gid, made.uname, made.gname = user, user, "", ""
    return made.tobuf(tarfile.PAX_FORMAT)
