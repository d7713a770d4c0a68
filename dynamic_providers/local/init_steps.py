"""First steps of a service, such as initdb: each runs once, before the first start."""

import subprocess
from collections.abc import Mapping
from typing import Any

from dynamic_providers.handler import UNKNOWN, InputError, Props
from dynamic_providers.local import inputs
from dynamic_providers.local.account import Account
from dynamic_providers.local.directory import ServiceDirectory
from dynamic_providers.local.redaction import redact
from dynamic_providers.local.run import ProgramError, run

TIMEOUT_S = 600.0


def normalize(raw: Mapping[str, Any]) -> Any:
    """[{command, creates, stdinFile ""}]: `creates` is the path that the step makes, below
    data/ or config/ of the service's folder, `stdinFile` one of `files` or `secretFiles` that
    it reads from its standard input."""
    given = raw.get("init") or []
    if given == UNKNOWN:
        return given
    return [_step(step, f"init[{number}]", raw) for number, step in enumerate(given)]


def _step(step: Any, field: str, raw: Mapping[str, Any]) -> Any:
    if step == UNKNOWN:
        return step
    if not isinstance(step, Mapping):
        raise InputError(field, f"{step!r}: expected a map with command and creates")
    creates, stdin_file = inputs.text(step, "creates"), inputs.text(step, "stdinFile")
    if creates != UNKNOWN:
        inputs.relative_path(creates, f"{field}.creates")
        if not creates.startswith(("data/", "config/")):
            raise InputError(f"{field}.creates", f"{creates!r}: expected a path below data/")
    known = [raw.get("files") or {}, raw.get("secretFiles") or {}]
    if stdin_file and UNKNOWN not in (stdin_file, *known):
        if not any(stdin_file in files for files in known):
            raise InputError(f"{field}.stdinFile", f"{stdin_file!r}: is not among the files")
    return {
        "command": inputs.command(step, f"{field}.command"),
        "creates": creates,
        "stdinFile": stdin_file,
    }


def run_missing(spec: Props, account: Account, folder: ServiceDirectory) -> None:
    """Runs the steps whose result is missing or unfinished. Raises ProgramError."""
    for number, step in enumerate(spec["init"]):
        result = folder.path / step["creates"]
        # Written before a step and removed after it: a result beside it is half-made. A result
        # without it is whole, also if somebody restored it from a backup.
        unfinished = folder.path / f"init-{number}.unfinished"
        if result.exists() and not unfinished.exists():
            continue
        unfinished.touch()
        # As its owner: a link in its path must not lead root elsewhere.
        subprocess.run(  # noqa: S603
            ["/bin/rm", "-rf", "--", str(result)], cwd=folder.data, check=True, **account.popen()
        )
        _run(step, spec, account, folder)
        if not result.exists():
            raise ProgramError(f"init[{number}]: succeeded without making {result}")
        unfinished.unlink()


def _run(step: Props, spec: Props, account: Account, folder: ServiceDirectory) -> None:
    files = {**spec["files"], **spec["secretFiles"]}
    log = folder.logs / "init.log"
    status = run(
        step["command"],
        account=account,
        directory=folder.data,
        environment=spec["environment"],
        log=log,
        timeout_s=TIMEOUT_S,
        stdin=files[step["stdinFile"]] if step["stdinFile"] else None,
    )
    if status:
        lines = redact(folder.tail(log), spec)
        text = f"{step['command'][0]}: exit status {status}; last lines of {log}:"
        raise ProgramError("\n  ".join([text, *lines]))
