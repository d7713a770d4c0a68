"""A service as a process that supervisord keeps alive, in `<stackDir>/services/<name>/`.

What runs, with which files and as which user is read back from the machine, so a file edited by
hand and a process stopped by hand are drift. Order of a change: check the ports, mark the change
as pending, write files, first steps, start, wait until ready, remove the mark. After an
interruption anywhere, the mark makes the next refresh say `running: false`, and `up` repairs it.
"""

import configparser
import shlex
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from dynamic_providers.endpoints import HOST
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.local import control, directory, init_steps, inputs, proc, readiness
from dynamic_providers.local.account import Account, account
from dynamic_providers.local.control import Control, ProcessInfo
from dynamic_providers.local.directory import ServiceDirectory
from dynamic_providers.local.redaction import redact
from dynamic_providers.local.run import ProgramError
from dynamic_providers.local.supervisor import escaped

KIND = "local/Process"
REPLACE_ON = frozenset({"name", "stackDir"})
SECRETS = frozenset({"secretFiles"})
COMPUTED: frozenset[str] = frozenset()

STOP_TIMEOUT_S = 10
START_S = 1  # supervisord: alive for so long counts as started
START_TIMEOUT_S = 30.0  # without a readiness probe: START_S on a busy machine
READY_POLL_S = 0.5  # what is asked all the time starts slower, with everything beside it
START_RETRIES = 10  # each waits a second more: outlasts about a minute without a dependency
NOT_SEEN_BY_THE_PROGRAM = frozenset({"init", "keepData", "ports", "readiness", "running"})

_CONFIG = """\
[program:{name}]
command=/bin/sh {run}
directory={data}
{user}umask=027
autostart=false
autorestart=true
startsecs={start_s}
startretries={start_retries}
stopsignal={stop_signal}
stopwaitsecs={stop_timeout_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def normalize(raw: Mapping[str, Any]) -> Props:
    """The inputs of resources.Process with their defaults. Raises InputError."""
    ports = raw.get("ports") or []
    if ports != UNKNOWN:
        ports = sorted({inputs.port(port, "ports") for port in ports}, key=str)
    return {
        **inputs.program(raw),
        "init": init_steps.normalize(raw),
        "ports": ports,
        "readiness": readiness.normalize(raw),
        "stopSignal": inputs.signal_name(raw, "stopSignal", "TERM"),
        "stopTimeoutS": inputs.seconds(raw, "stopTimeoutS", STOP_TIMEOUT_S),
        "keepData": inputs.boolean(raw, "keepData", False),
        "running": inputs.boolean(raw, "running", True),
    }


def natural_key(spec: Props) -> str:
    return f"{spec['stackDir']}/services/{spec['name']}"


def create(_client: None, spec: Props) -> Live:
    """Takes over what an earlier run left: data as they are, the process if it runs with these
    very inputs. A process that does not become ready is withdrawn; its data and log stay."""
    id_ = natural_key(spec)
    try:
        _apply(spec, _live_inputs(id_, spec))
    except ProgramError:
        _withdraw(spec)
        raise
    return Live(id=id_, inputs=spec)


def read(_client: None, id_: str, known: Props) -> Live | None:
    live = _live_inputs(id_, known)
    return None if live is None else Live(id=id_, inputs=live)


def update(_client: None, id_: str, old: Props, spec: Props) -> Live:
    """Also where supervisord was set up anew meanwhile and does not know the program."""
    _apply(spec, old)
    return Live(id=id_, inputs=spec)


def delete(_client: None, id_: str, known: Props) -> None:
    folder = ServiceDirectory(Path(id_))
    daemon = control.of(str(folder.path.parent.parent))
    _unload(daemon, folder.name, known.get("stopTimeoutS", STOP_TIMEOUT_S))
    folder.remove(keep_data=bool(known.get("keepData")))


def _apply(spec: Props, old: Props | None) -> None:
    """old: the inputs with which the process may run now, None if there is none."""
    runner, folder, daemon = (
        account(spec["user"]),
        directory.of(spec),
        control.of(spec["stackDir"]),
    )
    if not shutil.which("setpriv"):
        raise ProgramError("setpriv: not found: install util-linux")
    if not daemon.alive():
        raise LookupError(f"the supervisord of {spec['stackDir']} does not run")
    info = daemon.info(spec["name"])
    up = info is not None and info.up
    _require_free_ports(spec, old if up and old else {})
    folder.make(runner)
    unchanged = up and not folder.pending.exists() and old is not None and _same(old, spec)
    if not unchanged:
        folder.pending.touch()
    folder.write(runner, spec["files"], spec["secretFiles"])
    init_steps.run_missing(spec, runner, folder)
    _write_program(spec, runner, folder, daemon)
    if unchanged and spec["running"]:
        return
    daemon.stop(spec["name"], spec["stopTimeoutS"])
    daemon.load(spec["name"])
    if spec["running"]:
        _start(spec, runner, folder, daemon)
    folder.pending.unlink(missing_ok=True)


def _same(old: Props, spec: Props) -> bool:
    return all(old.get(key) == spec[key] for key in spec if key not in NOT_SEEN_BY_THE_PROGRAM)


def _require_free_ports(spec: Props, running: Props) -> None:
    for port in sorted(set(spec["ports"]) - set(running.get("ports", ()))):
        if proc.port_is_taken(HOST, port):
            holder = proc.port_holder(port) or "a process of another user"
            raise InputError(
                "ports",
                f"{port}: in use by {holder}: stop it, or move all ports of this stack with "
                "`pulumi config set dataflow:portOffset N`",
            )


def _write_program(
    spec: Props, runner: Account, folder: ServiceDirectory, daemon: Control
) -> None:
    home = str(folder.data)
    variables = {**runner.environment(home), **spec["environment"]}
    # As a script, because supervisord.conf cannot quote every text. env -i drops the variables
    # of supervisord; setpriv has the kernel stop the program if supervisord is killed, which
    # would otherwise leave it running without anyone to watch or to stop it.
    script = shlex.join(
        ["exec", "env", "-i", *(f"{k}={v}" for k, v in sorted(variables.items()))]
        + ["setpriv", "--pdeathsig", spec["stopSignal"], "--", *spec["command"]]
    )
    directory.write_atomically(folder.run, script + "\n", runner, 0o640, owned=False)
    text = _CONFIG.format(
        name=spec["name"],
        run=escaped(shlex.quote(str(folder.run))),
        data=escaped(folder.data),
        log=escaped(folder.log),
        user=f"user={spec['user']}\n" if spec["user"] else "",
        start_s=START_S,
        start_retries=START_RETRIES,
        stop_signal=spec["stopSignal"],
        stop_timeout_s=spec["stopTimeoutS"],
    )
    directory.write_atomically(
        daemon.program_config(spec["name"]), text, account(""), 0o600, owned=True
    )


def _start(spec: Props, runner: Account, folder: ServiceDirectory, daemon: Control) -> None:
    """Returns when the service is ready. Raises ProgramError."""
    name, probe = spec["name"], spec["readiness"]
    log_start = folder.log.stat().st_size if folder.log.exists() else 0
    timeout_s = probe.get("timeoutS", START_TIMEOUT_S)
    deadline = time.monotonic() + timeout_s
    daemon.call("startProcess", name, False)
    first_pid = 0
    while True:
        info = daemon.info(name)
        if info is None or not info.up or (first_pid and info.pid != first_pid):
            _fail(f"ended early{_how(info)}", spec, folder, log_start)
        first_pid = info.pid
        missing: str | None = "is starting"
        if info.state == "RUNNING" or probe:
            missing = readiness.fault(probe, runner, folder.data, spec["environment"])
        if missing is None:
            return
        if time.monotonic() > deadline:
            _fail(f"not ready after {timeout_s:g} s: {missing}", spec, folder, log_start)
        time.sleep(READY_POLL_S if probe else control.POLL_S)


def _how(info: ProcessInfo | None) -> str:
    return f" (exit status {info.exit_status})" if info and info.exit_status else ""


def _fail(what: str, spec: Props, folder: ServiceDirectory, log_start: int) -> NoReturn:
    lines = redact(folder.tail(folder.log, log_start), spec)
    raise ProgramError("\n  ".join([f"{what}; last lines of {folder.log}:", *lines]))


def _withdraw(spec: Props) -> None:
    _unload(control.of(spec["stackDir"]), spec["name"], spec["stopTimeoutS"])
    directory.of(spec).remove(keep_data=True)


def _unload(daemon: Control, name: str, stop_timeout_s: float) -> None:
    daemon.stop(name, stop_timeout_s)
    known = daemon.program_config(name).exists() or daemon.info(name) is not None
    daemon.program_config(name).unlink(missing_ok=True)
    if known and daemon.alive():
        daemon.load(name)


def _live_inputs(id_: str, known: Props) -> Props | None:
    """What the machine says; what it cannot say (probe, ports, first steps) as known."""
    folder = ServiceDirectory(Path(id_))
    stack_dir = str(folder.path.parent.parent)
    daemon = control.of(stack_dir)
    program = _read_program(daemon, folder.name)
    if program is None:
        return None
    command, environment = _read_run(folder, program.get("user", ""), known)
    info = daemon.info(folder.name)
    return {
        **known,
        "stackDir": stack_dir,
        "name": folder.name,
        "command": command,
        "environment": environment,
        "files": folder.read_files(known.get("files", ())),
        "secretFiles": folder.read_files(known.get("secretFiles", ())),
        "user": program.get("user", ""),
        "stopSignal": program.get("stopsignal", ""),
        "stopTimeoutS": int(program.get("stopwaitsecs", "0")),
        "running": info is not None and info.up and not folder.pending.exists(),
    }


def _read_program(daemon: Control, name: str) -> Mapping[str, str] | None:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(daemon.program_config(name))
        return parser[f"program:{name}"]
    except (configparser.Error, KeyError):
        return None


def _read_run(
    folder: ServiceDirectory, user: str, known: Props
) -> tuple[list[str], dict[str, str]]:
    """Command and environment; empty when the script is gone or not one of ours."""
    try:
        words = shlex.split(folder.run.read_text())
        start, end = words.index("-i") + 1, words.index("setpriv")
        variables = dict(word.split("=", 1) for word in words[start:end])
        defaults = account(user).environment(str(folder.data))
    except (OSError, ValueError):
        return [], {}
    wanted = known.get("environment", {})
    own = {k: v for k, v in variables.items() if k in wanted or defaults.get(k) != v}
    return words[end + 4 :], own
