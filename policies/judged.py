"""What the pack must know of the stack that it judges, from the stack's configuration."""

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from policies.evaluation import Finding, Pack, configured
from policies.loading import dbt_models, exported
from policies.model import ENVIRONMENTS, Environment, Resource, Stack
from settings import NAMESPACE, SettingsError, load_flow

CONFIG_FOLDER = Path(__file__).with_name("config")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The stack under judgement. flow: `module:attribute`."""

    environment: Environment
    flow: str
    keep_data: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Judged":
        """config: key such as `dataflow:runtime` -> value, a text as the engine has it."""
        runtime = str(config.get(f"{NAMESPACE}:runtime", "process"))
        return cls(
            environment=ENVIRONMENTS.get(runtime, Environment.PROD),  # strictest for a new one
            flow=str(config.get(f"{NAMESPACE}:flow", "flow.commerce:FLOW")),
            keep_data=str(config.get(f"{NAMESPACE}:keepData", "")).lower() == "true",
        )

    def stack(self, resources: Iterable[Resource]) -> Stack:
        """The stack of these resources. A flow that cannot be loaded stops the program itself,
        with a message of its own, so that no rule needs to."""
        try:
            flow = load_flow(self.flow)
        except SettingsError:
            flow = None
        return Stack(
            resources=tuple(resources),
            environment=self.environment,
            flow=flow,
            models=dbt_models(),
            keep_data=self.keep_data,
        )

    def preload(self) -> None:
        """Reads what the rules on the whole stack need: half a second, mostly of sqlglot."""
        self.stack(())
        importlib.import_module("policies.lineage")

    def pack(self, configuration: Mapping[str, Any], today: date) -> Pack:
        return configured(self.environment, configuration, today)


def config_file(stack: str) -> Path | None:
    """The pack's configuration for a stack: levels, settings and exceptions. None: defaults."""
    path = CONFIG_FOLDER / f"{stack}.json"
    return path if path.exists() else None


def configuration(stack: str) -> dict[str, Any]:
    path = config_file(stack)
    return dict(json.loads(path.read_text())) if path else {}


def judge_state(state: Mapping[str, Any], judged: Judged, pack: Pack) -> list[Finding]:
    """What the pack finds in an exported state."""
    given, became = exported(state)
    found = [finding for resource in given for finding in pack.judge(resource)]
    return [*found, *pack.judge_stack(judged.stack(became))]
