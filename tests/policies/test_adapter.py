"""The pack as the engine calls it, without an engine."""

import json
from datetime import date

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from policies.adapter import Server
from policies.catalog import RULES
from policies.judged import Judged
from policies.loading import SECRET, SIGNATURE, UNKNOWNS
from policies.model import Environment
from policies.values import Secret
from tests.policies.golden import GOLDEN, MUTATIONS, changed

TODAY = date(2026, 11, 1)


@pytest.fixture
def server() -> Server:
    return Server(
        Judged.of({"dataflow:runtime": "kubernetes", "dataflow:keepData": "true"}), TODAY
    )


def struct(props: dict) -> struct_pb2.Struct:
    return json_format.ParseDict(
        json.loads(json.dumps(props, default=marked)), struct_pb2.Struct()
    )


def marked(value: object) -> dict:
    assert isinstance(value, Secret)
    return {SIGNATURE: SECRET, "value": value.value}


def asked(key: str, props: dict) -> analyzer_pb2.AnalyzeRequest:
    token = GOLDEN[key][0]
    return analyzer_pb2.AnalyzeRequest(
        type=token, properties=struct(props), urn=f"urn::{key}", name=key
    )


def everything(changes: dict) -> analyzer_pb2.AnalyzeStackRequest:
    resources = [
        analyzer_pb2.AnalyzerResource(
            type=token, properties=struct(changes.get(key, props)), urn=f"urn::{key}", name=key
        )
        for key, (token, props) in GOLDEN.items()
    ]
    return analyzer_pb2.AnalyzeStackRequest(resources=resources)


def test_the_engine_is_told_of_every_rule(server):
    info = server.GetAnalyzerInfo(None, None)
    assert [policy.name for policy in info.policies] == [rule.id for rule in RULES]
    assert info.supportsConfig
    [k12] = [policy for policy in info.policies if policy.name == "K12"]
    assert k12.enforcementLevel == analyzer_pb2.MANDATORY
    assert set(k12.configSchema.properties) == {"registries", "exceptions"}


@pytest.mark.parametrize("mutation", MUTATIONS[::7], ids=str)
def test_the_answer_is_that_of_the_rules(mutation, server):
    change = changed(mutation.resource, mutation.path, mutation.value)
    answers = [server.Analyze(asked(key, change.get(key, GOLDEN[key][1])), None) for key in GOLDEN]
    answers.append(server.AnalyzeStack(everything(change), None))
    found = [one for answer in answers for one in answer.diagnostics]
    assert {one.policyName for one in found} == {mutation.rule, *mutation.also}
    [rule] = [rule for rule in RULES if rule.id == mutation.rule]
    first = next(one for one in found if one.policyName == mutation.rule)
    assert first.message.startswith(f"{rule.title}\n") and rule.fix in first.message
    level = rule.level(Environment.PROD).value
    assert analyzer_pb2.EnforcementLevel.Name(first.enforcementLevel).lower() == level


def test_an_unknown_value_is_not_judged(server):
    props = changed("bucket", ("acl",), next(iter(UNKNOWNS)))["bucket"]
    assert not server.Analyze(asked("bucket", props), None).diagnostics


def test_a_configuration_of_the_engine_is_obeyed(server):
    props = changed("bucket", ("acl",), "public-read")["bucket"]
    [found] = server.Analyze(asked("bucket", props), None).diagnostics
    assert found.enforcementLevel == analyzer_pb2.MANDATORY
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    request.policyConfig["S02"].enforcementLevel = analyzer_pb2.ADVISORY
    request.policyConfig["K12"].properties.update({"registries": ["example.com"]})
    request.policyConfig["K12"].enforcementLevel = analyzer_pb2.DISABLED
    server.Configure(request, None)
    [found] = server.Analyze(asked("bucket", props), None).diagnostics
    assert found.enforcementLevel == analyzer_pb2.ADVISORY
    image = changed("deployment", ("spec", "template", "spec", "containers", 0, "image"), "x")
    answer = server.Analyze(asked("deployment", image["deployment"]), None)
    assert not answer.diagnostics


def test_the_configuration_of_the_stack_sets_the_levels():
    server = Server(Judged.of({}), TODAY)
    runtime = {"dataflow:runtime": "kubernetes"}
    server.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(config=runtime), None)
    [x07] = [one for one in server.GetAnalyzerInfo(None, None).policies if one.name == "X07"]
    assert x07.enforcementLevel == analyzer_pb2.MANDATORY  # advisory on local


def test_without_properties_what_the_program_gave_counts(server):
    for key, (_token, props) in GOLDEN.items():
        server.Analyze(asked(key, props), None)
    untold = {key: {} for key in ("bucket", "versioning", "lifecycle")}
    assert not server.AnalyzeStack(everything(untold), None).diagnostics
