"""A command that a service needs once, before its first start."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Init:
    """command: run as the service's user, with the service's environment.
    creates: path whose existence says that it has been done.
    stdin_file: what it reads on standard input, a secret that must not be an argument.
    """

    command: tuple[str, ...]
    creates: str
    stdin_file: str | None = None
