"""A program that runs to its end once, and again when what it runs with changes.

It is a child of the provider and ends with it. Files, log and account are those of a process.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamic_providers.handler import Live, Props
from dynamic_providers.local import directory, inputs
from dynamic_providers.local.account import account
from dynamic_providers.local.directory import ServiceDirectory
from dynamic_providers.local.redaction import redact
from dynamic_providers.local.run import ProgramError, run

KIND = "local/Job"
REPLACE_ON = frozenset({"name", "stackDir"})
SECRETS = frozenset({"secretFiles"})
COMPUTED: frozenset[str] = frozenset()

TIMEOUT_S = 600


def normalize(raw: Mapping[str, Any]) -> Props:
    """The inputs of resources.Job with their defaults. Raises InputError."""
    return {
        **inputs.program(raw),
        "triggers": inputs.texts(raw, "triggers"),
        "timeoutS": inputs.seconds(raw, "timeoutS", TIMEOUT_S),
    }


def natural_key(spec: Props) -> str:
    return f"{spec['stackDir']}/services/{spec['name']}"


def create(_client: None, spec: Props) -> Live:
    """Runs it. Jobs repeat safely: an interrupted one runs again. Raises ProgramError."""
    runner, folder = account(spec["user"]), directory.of(spec)
    folder.make(runner)
    folder.write(runner, spec["files"], spec["secretFiles"])
    try:
        status = run(
            spec["command"],
            account=runner,
            directory=folder.data,
            environment=spec["environment"],
            log=folder.log,
            timeout_s=spec["timeoutS"],
        )
        problem = f"exit status {status}" if status else ""
    except ProgramError as error:
        problem = str(error)
    if problem:
        lines = redact(folder.tail(folder.log), spec)
        raise ProgramError("\n  ".join([f"{problem}; last lines of {folder.log}:", *lines]))
    return Live(id=natural_key(spec), inputs=spec)


def read(_client: None, id_: str, known: Props) -> Live | None:
    """None when its folder is gone: what it made may be gone as well, so it runs again."""
    return Live(id=id_, inputs=known) if Path(id_).is_dir() else None


def update(_client: None, id_: str, old: Props, spec: Props) -> Live:
    """A new limit of time is no reason to run again; all else is."""
    if {**old, "timeoutS": 0} != {**spec, "timeoutS": 0}:
        create(_client, spec)
    return Live(id=id_, inputs=spec)


def delete(_client: None, id_: str, known: Props) -> None:
    ServiceDirectory(Path(id_)).remove(keep_data=False)
