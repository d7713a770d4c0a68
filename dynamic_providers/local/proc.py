"""What /proc knows: who runs, who listens. Zombies count as gone: a machine may reap them late."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True)
class Pid:
    """A process; its start time tells it from a later one with the same number."""

    number: int
    started: int

    def alive(self) -> bool:
        return _stat(self.number) == self


@dataclass(frozen=True)
class _Entry:
    pid: Pid
    group: int


def _entry(number: int) -> _Entry | None:
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None
    # The command name, in brackets, may hold spaces and brackets itself: proc(5).
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else _Entry(Pid(number, int(fields[19])), int(fields[2]))


def _stat(number: int) -> Pid | None:
    entry = _entry(number)
    return entry.pid if entry else None


def _numbers() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def group_members(group: int) -> list[Pid]:
    """The processes of a process group that still run."""
    entries = (_entry(number) for number in _numbers())
    return [entry.pid for entry in entries if entry and entry.group == group]


def find(matches: Callable[[list[str]], bool]) -> list[Pid]:
    """The processes whose command line matches."""
    return [
        pid
        for number in _numbers()
        if matches(command_line(number)) and (pid := _stat(number)) is not None
    ]


def command_line(number: int) -> list[str]:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def port_is_taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def port_holder(port: int) -> str | None:
    """`process 123 (postgres)` that listens on the port, or None: it belongs to another user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for number in _numbers():
        try:
            links = {os.readlink(f.path) for f in os.scandir(f"/proc/{number}/fd")}
            if inodes & links:
                return f"process {number} ({Path(f'/proc/{number}/comm').read_text().strip()})"
        except OSError:
            continue  # ended meanwhile, or another user's
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
