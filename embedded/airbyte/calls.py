"""One-shot calls of connectors: spec, check, discover."""

import subprocess
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from embedded.airbyte import definitions, masking, protocol
from embedded.airbyte.definitions import Definition
from embedded.airbyte.jobs import process

TIMEOUT_S = 300.0
TAIL = 2000  # characters of stderr shown for a connector that says nothing else


class ConnectorFailure(Exception):
    """A connector could not do what it was asked; secrets are masked in the text."""


class Connectors:
    """The configured connectors. Thread-safe."""

    def __init__(self, commands: Mapping[str, tuple[str, ...]], work_dir: Path) -> None:
        self._commands = commands
        self._work_dir = work_dir
        self._specs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self.definitions = definitions.registry(commands)
        self._custom: dict[str, Definition] = {}

    def add(self, definition: Definition) -> None:
        """A custom definition, or a new version of one."""
        with self._lock:
            self._custom = {**self._custom, definition.id: definition}

    def remove(self, id_: str) -> None:
        with self._lock:
            self._custom = {k: v for k, v in self._custom.items() if k != id_}

    def configured(self, kind: str) -> list[Definition]:
        return [definition for definition in self.definitions if definition.kind == kind]

    def of_kind(self, kind: str) -> list[Definition]:
        """The configured ones, then the custom ones."""
        own = [definition for definition in self._custom.values() if definition.kind == kind]
        return [*self.configured(kind), *own]

    def by_id(self, id_: str, kind: str) -> Definition | None:
        return next((d for d in self.of_kind(kind) if d.id == id_), None)

    def by_type(self, type_: str, kind: str) -> Definition | None:
        return next((d for d in self.configured(kind) if d.type == type_), None)

    def command(self, definition: Definition) -> tuple[str, ...]:
        """Raises ConnectorFailure if no program is configured for its image."""
        try:
            return self._commands[definition.repository]
        except KeyError:
            known = ", ".join(sorted(self._commands))
            raise ConnectorFailure(
                f"{definition.repository}: no program is configured for it; known: {known}"
            ) from None

    def spec(self, definition: Definition) -> dict[str, Any]:
        """ConnectorSpecification; asked once per process. Raises ConnectorFailure."""
        with self._lock:
            if definition.id not in self._specs:
                found = self._call(definition, "spec", None, "SPEC")
                self._specs[definition.id] = found["spec"]
            return self._specs[definition.id]

    def secrets(self, definition: Definition) -> frozenset[masking.Path]:
        return masking.secret_paths(self.spec(definition).get("connectionSpecification") or {})

    def check(self, definition: Definition, config: Mapping[str, Any]) -> str | None:
        """None when the configuration works, else why not. Raises ConnectorFailure."""
        found = self._call(definition, "check", config, "CONNECTION_STATUS")
        status = found["connectionStatus"]
        if status["status"] == "SUCCEEDED":
            return None
        return self._redact(definition, config, status.get("message") or "the check failed")

    def discover(self, definition: Definition, config: Mapping[str, Any]) -> dict[str, Any]:
        """AirbyteCatalog. Raises ConnectorFailure."""
        found: dict[str, Any] = self._call(definition, "discover", config, "CATALOG")["catalog"]
        return found

    def _call(
        self, definition: Definition, verb: str, config: Mapping[str, Any] | None, wanted: str
    ) -> protocol.Message:
        with process.folder(self._work_dir) as directory:
            command = [*self.command(definition), verb]
            if config is not None:
                path = process.write_json(directory / "config.json", config)
                command += ["--config", str(path)]
            out, err = _run(command, directory, definition, verb)
        messages = [m for line in out.split(b"\n") if (m := protocol.parse_line(line))]
        for message in messages:
            if message["type"] == wanted:
                return message
        text = _failure(messages) or err.decode(errors="replace").strip()[-TAIL:] or "no answer"
        shown = self._redact(definition, config, text) if config is not None else text
        raise ConnectorFailure(f"{definition.repository} {verb}: {shown}")

    def _redact(self, definition: Definition, config: Mapping[str, Any], text: str) -> str:
        return masking.redact(text, tuple(masking.values(config, self.secrets(definition))))


def _run(
    command: list[str], directory: Path, definition: Definition, verb: str
) -> tuple[bytes, bytes]:
    try:
        child = process.start(command, directory, feeds=False)
    except OSError as fault:
        raise ConnectorFailure(
            f"{definition.repository}: {command[0]}: {fault.strerror}"
        ) from None
    try:
        return child.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        text = f"{definition.repository} {verb}: no answer in {TIMEOUT_S:.0f} s"
        raise ConnectorFailure(text) from None
    finally:
        process.end(child)


def _failure(messages: Iterable[protocol.Message]) -> str | None:
    for message in messages:
        if message["type"] == "TRACE" and message["trace"].get("type") == "ERROR":
            return str(message["trace"]["error"].get("message"))
    return None
