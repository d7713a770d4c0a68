"""Where the services of a stack run, how its pipeline is run there at once, and where their data
are.

One class per runtime, behind one interface. Names and commands are those of the state: what the
program has declared, not what it would be called by custom.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dynamic_providers.handler import InputError
from dynamic_providers.local import control
from dynamic_providers.local.account import account
from dynamic_providers.local.directory import ServiceDirectory
from plugins.docker.client import DockerClient, connect
from plugins.kind import ServiceError
from settings import SettingsError
from tls.files import trust_environment
from tools.data import CONTAINER, Data, Folder, Volume
from tools.preflight import service_user
from tools.report import pipeline_config
from tools.stack import Stack, StackError

PIPELINE = "pipeline"
SERVE, RUN = "serve", "run"  # verbs of python -m pipeline
WORKLOADS = "kubernetes:apps/v1:"
DOCKER_SETTINGS = ("host", "caMaterial", "certMaterial", "certPath", "keyMaterial")


class NotFromHere(StackError):
    """What the stack's own tools are for; the text says which."""


@dataclass(frozen=True, kw_only=True)
class State:
    """of: the name of a service. process: what it runs as, empty while it does not."""

    of: str
    state: str
    process: str


class Running(Protocol):
    """process: what a service runs as. backs_up: whether it makes backups by itself."""

    process: str
    backs_up: bool

    def run_pipeline(self) -> int:
        """Runs it to its end, shows what it says, and returns its exit code. Raises StackError,
        NotFromHere."""

    def states(self) -> Iterator[State]:
        """Of each service. Raises StackError, NotFromHere."""

    def data(self, service: str) -> Data:
        """Raises StackError, NotFromHere."""


def running(stack: Stack) -> Running:
    """Raises StackError for a stack that has not been created, or wrong settings."""
    stack.require()
    return would_run(stack)


def would_run(stack: Stack) -> Running:
    """Also of one that has not been created. Raises StackError for wrong settings."""
    kinds: Mapping[str, Callable[[Stack], Running]] = {
        "process": Processes,
        "docker": Containers,
        "kubernetes": Pods,
    }
    try:
        return kinds[stack.settings().runtime](stack)
    except SettingsError as fault:
        raise StackError(str(fault)) from None


class Processes:
    """Supervised processes of this machine."""

    process = "pid"
    backs_up = False

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def run_pipeline(self) -> int:
        runner = account(service_user())
        config = pipeline_config(self._stack)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pipeline", RUN, "--config", str(config)],
            cwd=self._stack.paths.root,
            env={
                **os.environ,
                **trust_environment(self._stack.ca_file),
                "HOME": str(config.parents[1] / "data"),
                "USER": runner.login,
            },
            check=False,
            **runner.popen(),
        )
        return done.returncode

    def states(self) -> Iterator[State]:
        directory = self._stack.directory
        daemon = control.of(str(directory))
        for folder in sorted((directory / "services").glob("*")):
            if not daemon.program_config(folder.name).exists():
                continue  # a job: it has run to its end
            info = daemon.info(folder.name)
            yield State(
                of=folder.name,
                state=info.state.lower() if info else "stopped",
                process=str(info.pid) if info and info.up else "",
            )

    def data(self, service: str) -> Data:
        folder = self._stack.paths.service_dir(self._stack.name, service)
        supervisor = control.of(str(self._stack.directory))
        return Folder(directory=ServiceDirectory(folder), supervisor=supervisor)


class Containers:
    """Containers of a Docker engine, which may be another machine's."""

    process = "container"
    backs_up = False

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def run_pipeline(self) -> int:
        engine = self._engine()
        (name,) = (one["name"] for one in self._declared() if one["hostname"] == PIPELINE)
        try:
            live = engine.get("containers", name, "json")
            if live is None or not live["State"]["Running"]:
                raise StackError(
                    f"container {name!r} does not run: bring it back with "
                    f"bin/dataflow pulumi up --refresh --stack {self._stack.name}"
                )
            return engine.execute(
                name,
                at_once([*live["Config"]["Entrypoint"], *live["Config"]["Cmd"]]),
                _print,
                terminal=os.environ.get("TERM", "") if sys.stdout.isatty() else "",
            )
        except ServiceError as fault:
            raise StackError(str(fault)) from None

    def states(self) -> Iterator[State]:
        engine = self._engine()
        for declared in sorted(self._declared(), key=lambda one: str(one["hostname"])):
            try:
                live = engine.get("containers", declared["name"], "json")
            except ServiceError as fault:
                raise StackError(str(fault)) from None
            if live is None:
                yield State(of=declared["hostname"], state="removed", process="")
                continue
            status = live["State"]["Status"]
            health = (live["State"].get("Health") or {}).get("Status")
            up = live["State"]["Running"]
            yield State(
                of=declared["hostname"],
                state=health if up and health else status,
                process=live["Id"][:12] if up else "",
            )

    def data(self, service: str) -> Data:
        return Volume(stack=self._stack, service=service, connect=self._engine)

    def _declared(self) -> list[Mapping[str, Any]]:
        """Outputs of the containers of services. Raises StackError when there are none."""
        found = [
            one["outputs"]
            for one in self._stack.resources()
            # Jobs, and those that only put files into volumes, need not run.
            if one["type"] == CONTAINER and one["outputs"]["mustRun"]
        ]
        if not found:
            raise not_deployed(self._stack)
        return found

    def _engine(self) -> DockerClient:
        configured = self._stack.configuration()
        keys = {name: f"docker:{name}" for name in DOCKER_SETTINGS}
        try:
            return connect(
                {
                    name: self._stack.answer("config", "get", key).rstrip("\n")
                    for name, key in keys.items()
                    if key in configured
                }
            )
        except InputError as fault:
            raise StackError(f"docker:{fault}") from None


class Pods:
    """Pods of a cluster, which its own tools are for."""

    process = "pod"
    backs_up = True

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def run_pipeline(self) -> int:
        for one in self._stack.resources():
            metadata = one.get("inputs", {}).get("metadata", {})
            if one["type"].startswith(WORKLOADS) and metadata["name"] == PIPELINE:
                kind = one["type"].rpartition(":")[2].lower()
                (container,) = one["inputs"]["spec"]["template"]["spec"]["containers"]
                raise NotFromHere(
                    f"the cluster runs the pipeline: {kind} {PIPELINE} does, by its schedule. "
                    f"To run it at once: kubectl --namespace {metadata['namespace']} exec "
                    f"{kind}/{PIPELINE} -- {shlex.join(at_once(container['command']))}"
                )
        raise not_deployed(self._stack)

    def states(self) -> Iterator[State]:
        raise NotFromHere(
            "the cluster knows its services: kubectl get pods --all-namespaces "
            f"--selector dataflow/stack={self._stack.name}"
        )

    def data(self, service: str) -> Data:
        raise NotFromHere(
            f"stack {self._stack.name!r}: the cluster makes backups of what it holds, and brings "
            'it back: see docs/operations.md, "A cluster"'
        )


def at_once(command: list[str]) -> list[str]:
    """The command that runs the pipeline once, of the one that runs it by its schedule."""
    return [RUN if part == SERVE else part for part in command]


def not_deployed(stack: Stack) -> StackError:
    return StackError(
        f"stack {stack.name!r} is not deployed: run bin/dataflow up --stack {stack.name}"
    )


def _print(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
