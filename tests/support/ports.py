"""Ports for what tests start: no other test gets them, of this session or of one beside it."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from dynamic_providers.endpoints import HOST, PORTS, port

PORTS_BELOW = 32768  # from there the system takes those of its own connections
PORTS_FROM = 10000
TRIES = 1000
# A port is taken while the file of its number is locked: by a live process, and by one only.
LEASES = Path(tempfile.gettempdir()) / f"dataflow-ports-{os.geteuid()}"
HELD = ExitStack()  # until this process ends


def free_ports(count: int) -> list[int]:
    """Ports that are this process's while it lives."""
    for _ in range(TRIES):
        numbers = random.sample(range(PORTS_FROM, PORTS_BELOW), count)
        if lease(numbers):
            return numbers
    raise AssertionError(f"{count} free ports from {PORTS_FROM} were not found")


def free_offset() -> int:
    """A port offset at which every port of a stack is this process's while it lives."""
    for _ in range(TRIES):
        offset = random.randrange(1000, 20000, 10)
        if lease(port(service, offset) for service in PORTS):
            return offset
    raise AssertionError("no free port offset")


def lease(numbers: Iterable[int]) -> bool:
    """Takes all these ports, or none where somebody has one of them."""
    LEASES.mkdir(exist_ok=True)
    with ExitStack() as taken:
        for number in numbers:
            file = taken.enter_context((LEASES / str(number)).open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not is_free(number):
                return False
        HELD.push(taken.pop_all())
    return True


def is_free(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, number)) != 0
