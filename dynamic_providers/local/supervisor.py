"""The supervisord of a stack, in `<stackDir>/supervisor/`. Process resources depend on it.

It runs in a session of its own, so it outlives the `pulumi up` that started it. Programs are not
started by it but by their resources, in the order of their dependencies.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamic_providers.handler import Live, Props
from dynamic_providers.local import control, inputs
from dynamic_providers.local.directory import remove_empty

KIND = "local/Supervisor"
REPLACE_ON = frozenset({"stackDir"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

SHUTDOWN_TIMEOUT_S = 120.0  # its programs are gone before it, but for those started by hand

# Section and option names: http://supervisord.org/configuration.html
_CONFIG = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
{user}logfile={home}/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile={home}/supervisord.pid
childlogdir={home}
directory=/

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[include]
files=conf.d/*.conf
"""


def normalize(raw: Mapping[str, Any]) -> Props:
    """stackDir: absolute path. keepData: whether `<stackDir>/services` outlives the stack."""
    return {
        "stackDir": inputs.stack_dir(raw),
        "keepData": inputs.boolean(raw, "keepData", False),
    }


def natural_key(spec: Props) -> str:
    return str(spec["stackDir"])


def create(_client: None, spec: Props) -> Live:
    """A running supervisord is taken over; one that does not answer is ended first."""
    daemon = control.of(spec["stackDir"])
    if not daemon.alive():
        daemon.stop_daemon(SHUTDOWN_TIMEOUT_S)
        _write(daemon)
        daemon.start_daemon()
    return Live(id=spec["stackDir"], inputs=spec)


def read(_client: None, id_: str, known: Props) -> Live | None:
    if not control.of(id_).alive():
        return None
    return Live(id=id_, inputs={"keepData": False, **known, "stackDir": id_})


def update(_client: None, id_: str, _old: Props, spec: Props) -> Live:
    return Live(id=id_, inputs=spec)  # only keepData can change, and only delete looks at it


def delete(_client: None, id_: str, known: Props) -> None:
    daemon = control.of(id_)
    daemon.stop_daemon(SHUTDOWN_TIMEOUT_S)
    for folder in {daemon.home, daemon.socket.parent}:
        if folder.exists():
            shutil.rmtree(folder)
    stack_dir = Path(id_)
    services = stack_dir / "services"
    # Also what a process left that never became ready, so that no resource stands for it.
    if services.exists() and not known.get("keepData"):
        shutil.rmtree(services)
    remove_empty(services, stack_dir)


def _write(daemon: control.Control) -> None:
    conf_d = daemon.home / "conf.d"
    if not daemon.home.parent.exists():
        daemon.home.parent.mkdir(parents=True)
        daemon.home.parent.chmod(0o755)  # services below it run as another user
    daemon.home.mkdir(exist_ok=True)
    daemon.home.chmod(0o700)
    # Programs of a supervisord that died: their resources write them again. One whose folder is
    # gone would keep supervisord from starting.
    if conf_d.exists():
        shutil.rmtree(conf_d)
    conf_d.mkdir()
    text = _CONFIG.format(
        home=escaped(daemon.home), socket=escaped(daemon.socket), user=_root_on_purpose()
    )
    daemon.config.write_text(text)


def _root_on_purpose() -> str:
    return "user=root\n" if os.geteuid() == 0 else ""


def escaped(value: object) -> str:
    """`value` for a supervisord option, where % starts an expansion."""
    return str(value).replace("%", "%%")
