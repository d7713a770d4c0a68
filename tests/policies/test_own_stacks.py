"""Our own stacks break no rule that is mandatory there."""

from datetime import date

import pytest

from components.runtime.process import ProcessRuntime
from policies.catalog import RULES
from policies.judged import CONFIG_FOLDER, Judged, configuration
from policies.loading import resource
from policies.model import Level
from tests.components.runtime.test_docker_runtime import runtime as docker_runtime
from tests.components.runtime.test_kubernetes_runtime import runtime as cluster_runtime
from tests.support.declaring import declared

TODAY = date(2026, 11, 26)  # exceptions end: these tests do not begin to fail by themselves


def process_runtime() -> ProcessRuntime:
    return ProcessRuntime(
        "runtime", stack_dir=CONFIG_FOLDER, user="", keep_data=False, port_offset=0
    )


STACKS = {
    "local": (process_runtime, {"dataflow:runtime": "process"}),
    "dev": (docker_runtime, {"dataflow:runtime": "docker", "dataflow:keepData": "true"}),
    "prod": (cluster_runtime, {"dataflow:runtime": "kubernetes", "dataflow:keepData": "true"}),
}


def broken(stack: str, configured: dict, *, preview: bool) -> list[str]:
    runtime, config = STACKS[stack]
    program = declared(runtime, preview=preview)
    judged = Judged.of(config)
    resources = [resource(token, name, props) for name, (token, props) in program.items()]
    found = judged.pack(configured, TODAY).judge_all(judged.stack(resources))
    return [f"{f.rule.id} {f.message}" for f in found if f.level is Level.MANDATORY]


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "update"])
@pytest.mark.parametrize("stack", STACKS)
def test_nothing_mandatory_is_broken(stack, preview):
    assert broken(stack, configuration(stack), preview=preview) == []


def test_the_pack_would_notice():
    """Without its exceptions, dev is not clean."""
    assert {line.split()[0] for line in broken("dev", {}, preview=False)} >= {"P03", "X07"}


@pytest.mark.parametrize("file", sorted(CONFIG_FOLDER.glob("*.json")), ids=lambda f: f.stem)
def test_a_committed_configuration_is_valid(file):
    given = configuration(file.stem)
    assert set(given) <= {rule.id for rule in RULES}
    Judged.of({}).pack(given, TODAY)
