"""Our own stacks break no mandatory rule, and need every exception that they have."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest

from components.runtime.catalog import BACKUP_STORE
from components.runtime.kubernetes import KubernetesRuntime, Outside
from components.runtime.process import ProcessRuntime
from policies.catalog import RULES
from policies.evaluation import EXCEPTIONS_KEY, Finding
from policies.judged import CONFIG_FOLDER, Judged, configuration
from policies.loading import resource
from policies.model import Level, Stack
from settings import RestorePoint
from tests.components.runtime.test_docker_runtime import runtime as docker_runtime
from tests.components.runtime.test_kubernetes_runtime import CLUSTER
from tests.components.runtime.test_kubernetes_runtime import runtime as cluster_runtime
from tests.support.declaring import Recorder, backup_store, declared, production, settings

LONGEST_EXCEPTION = timedelta(days=365)
TODAY = date(2026, 11, 26)  # exceptions end: these tests do not begin to fail by themselves


ON_A_CLUSTER = {"dataflow:runtime": "kubernetes", "dataflow:keepData": "true"}
BACKED_UP, RECOVERED = "prod with a backup store", "prod from a restore point"
POINT = RestorePoint(archive="postgres", time="2026-11-27T05:00:03Z")


def backed_up_runtime() -> KubernetesRuntime:
    there = {BACKUP_STORE: Outside(url="https://backups.example.org", network="192.0.2.0/24")}
    return cluster_runtime(replace(CLUSTER, outside=there))


def process_runtime() -> ProcessRuntime:
    return ProcessRuntime(
        "runtime", stack_dir=CONFIG_FOLDER, user="", keep_data=False, port_offset=0
    )


STACKS = {
    "local": (process_runtime, {"dataflow:runtime": "process"}),
    "dev": (docker_runtime, {"dataflow:runtime": "docker", "dataflow:keepData": "true"}),
    "prod": (cluster_runtime, ON_A_CLUSTER),
    BACKED_UP: (backed_up_runtime, ON_A_CLUSTER),
    RECOVERED: (backed_up_runtime, ON_A_CLUSTER),
}
# Not every file of the folder: the test of dev, which may run beside these, has one of its own.
CONFIGURED = [stack for stack in STACKS if (CONFIG_FOLDER / f"{stack}.json").exists()]


@cache  # declaring a stack takes seconds
def declared_stack(stack: str, preview: bool) -> Stack:
    runtime, config = STACKS[stack]
    recorder = Recorder()
    point = POINT if stack == RECOVERED else None
    program = declared(
        runtime,
        preview=preview,
        chosen=production(recover=point) if config is ON_A_CLUSTER else settings(),
        backup_store=backup_store() if stack in (BACKED_UP, RECOVERED) else None,
        recorder=recorder,
    )
    outputs = {**recorder.outputs, f"dataflow-{stack}": recorder.outputs["platform"]}
    program[f"dataflow-{stack}"] = ("pulumi:pulumi:Stack", {})
    return Judged.of(config).stack(
        resource(token, name, {**props, **outputs.get(name, {})})
        for name, (token, props) in program.items()
    )


def findings(stack: str, configured: dict, *, preview: bool) -> list[Finding]:
    pack = Judged.of(STACKS[stack][1]).pack(configured, TODAY)
    return list(pack.judge_all(declared_stack(stack, preview)))


def broken(stack: str, configured: dict, *, preview: bool) -> list[str]:
    found = findings(stack, configured, preview=preview)
    return [f"{f.rule.id} {f.message}" for f in found if f.level is Level.MANDATORY]


@pytest.mark.parametrize("preview", [True, False], ids=["preview", "update"])
@pytest.mark.parametrize("stack", STACKS)
def test_nothing_mandatory_is_broken(stack, preview):
    of = "prod" if stack in (BACKED_UP, RECOVERED) else stack
    assert broken(stack, configuration(of), preview=preview) == []


def test_the_pack_would_notice():
    """Without its exceptions, dev is not clean."""
    assert {line.split()[0] for line in broken("dev", {}, preview=False)} >= {"P03", "X07"}


@pytest.mark.parametrize("stack", CONFIGURED)
def test_a_committed_configuration_is_valid(stack):
    given = configuration(stack)
    assert set(given) <= {rule.id for rule in RULES}
    Judged.of({}).pack(given, TODAY)


EXCEPTIONS = [
    (stack, rule, exception)
    for stack in CONFIGURED
    for rule, given in configuration(stack).items()
    for exception in given.get(EXCEPTIONS_KEY, ())
]


def excepted(stack: str, rule: str) -> set[str]:
    """Resources that the rule would be broken by."""
    return {
        finding.name
        for preview in (True, False)
        for finding in findings(stack, {}, preview=preview)
        if finding.rule.id == rule
    }


@pytest.mark.parametrize(("stack", "rule", "exception"), EXCEPTIONS)
def test_an_exception_is_for_one_resource_that_needs_it(stack, rule, exception):
    name = exception["resource"]
    assert "*" not in name, f"{stack}: {rule}: {name}: an exception names one resource"
    assert name in excepted(stack, rule), f"{stack}: {rule}: {name}: nothing to except: remove it"


@pytest.mark.parametrize(("stack", "rule", "exception"), EXCEPTIONS)
def test_an_exception_ends_within_a_year(stack, rule, exception):
    assert date.fromisoformat(exception["expires"]) <= TODAY + LONGEST_EXCEPTION


def test_the_local_stack_breaks_nothing_but_what_one_machine_lacks():
    """What an unchanged stack shows people every time; more would be noise."""
    shown = {finding.rule.id for finding in findings("local", {}, preview=False)}
    assert shown == {"E03", "P03", "P06", "S01", "S06", "X04", "X07"}
