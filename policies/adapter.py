"""Rules as policies of pulumi-policy, and the server that the engine asks.

The package's own server decodes a resource anew for each of its policies, which takes longer than
the preview itself with all of ours, and hides which values are secret. So the two calls that judge
are replaced: a resource is decoded once, and only the rules of its type see it.
"""

import sys
from collections.abc import Iterable, Mapping
from concurrent import futures
from datetime import date
from threading import Thread
from typing import Any

import grpc  # type: ignore[import-untyped] # ships no types
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ResourceValidationPolicy,
    Severity,
    StackValidationPolicy,
)
from pulumi_policy.policy import _PolicyAnalyzerServicer

from policies.catalog import RULES
from policies.evaluation import EXCEPTIONS_KEY, EXCEPTIONS_SCHEMA, LEVEL_KEY, Finding
from policies.judged import Judged
from policies.loading import resource
from policies.model import Environment, Resource, Rule

NAME = "dataflow"
VERSION = "1.0.0"
LARGEST_MESSAGE = 400 * 1024 * 1024  # bytes: a stack arrives as one message
THREADS = 4


def policy(rule: Rule, environment: Environment) -> Policy:
    """A rule as pulumi-policy describes it. Its checks run in Server."""
    about: dict[str, Any] = {
        "name": rule.id,
        "display_name": rule.title,
        "description": rule.title,
        "enforcement_level": EnforcementLevel(rule.level(environment).value),
        "config_schema": PolicyConfigSchema(schema(rule)),
        "severity": Severity(rule.severity.value),
        "remediation_steps": rule.fix,
    }
    if rule.check is None:
        return StackValidationPolicy(validate=lambda _args, _report: None, **about)
    return ResourceValidationPolicy(validate=lambda _args, _report: None, **about)


def schema(rule: Rule) -> dict[str, dict[str, Any]]:
    """JSON schema of a rule's settings, exceptions among them."""
    settings = {
        key: {**setting.schema, "default": setting.default, "description": setting.text}
        for key, setting in rule.settings.items()
    }
    return {**settings, EXCEPTIONS_KEY: dict(EXCEPTIONS_SCHEMA)}


class Server(_PolicyAnalyzerServicer):
    """Judges resources by the rules, as the engine has configured them."""

    def __init__(self, judged: Judged, today: date) -> None:
        self._today = today
        self._given: dict[str, Mapping[str, Any]] = {}  # urn -> what the program gave
        self._judge(judged)

    def _judge(self, judged: Judged) -> None:
        policies = [policy(rule, judged.environment) for rule in RULES]
        super().__init__(NAME, VERSION, policies, EnforcementLevel.ADVISORY)
        self._judged = judged
        self._pack = judged.pack({}, self._today)

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Comes first, and tells the stack's configuration: the levels follow from it."""
        self._judge(Judged.of(request.config))
        # While the program starts: nobody waits for it then.
        Thread(target=self._judged.preload, daemon=True).start()
        return super().ConfigureStack(request, context)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        given: dict[str, Any] = {}
        for key, config in request.policyConfig.items():
            values: dict[str, Any] = json_format.MessageToDict(config.properties)
            level = analyzer_pb2.EnforcementLevel.Name(config.enforcementLevel).lower()
            given[key] = {**values, LEVEL_KEY: level}
        self._pack = self._judged.pack(given, self._today)
        return super().Configure(request, context)  # type: ignore[no-untyped-call]

    def Analyze(self, request: Any, _context: Any) -> Any:  # noqa: N802
        props = self._given[request.urn] = json_format.MessageToDict(request.properties)
        return _answer(self._pack.judge(_resource(request, props)))

    def Remediate(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Asked before each resource is judged. No rule changes what the program says."""
        return analyzer_pb2.RemediateResponse()

    def AnalyzeStack(self, request: Any, _context: Any) -> Any:  # noqa: N802
        stack = self._judged.stack(self._became(one) for one in request.resources)
        return _answer(self._pack.judge_stack(stack))

    def _became(self, request: Any) -> Resource:
        """What came of a resource. In a preview with a provider whose own settings are not known
        yet, the engine tells of no property: then what the program gave counts."""
        given = self._given.get(request.urn, {})
        return _resource(request, {**given, **json_format.MessageToDict(request.properties)})


def _resource(request: Any, props: Mapping[str, Any]) -> Resource:
    # The engine tells of protect, but not of retainOnDelete.
    kept = True if request.options.protect else None
    return resource(request.type, request.name, props, urn=request.urn, kept=kept)


def _answer(findings: Iterable[Finding]) -> Any:
    answer = analyzer_pb2.AnalyzeResponse()
    for finding in findings:
        answer.diagnostics.append(
            analyzer_pb2.AnalyzeDiagnostic(
                policyName=finding.rule.id,
                policyPackName=NAME,
                policyPackVersion=VERSION,
                description=finding.rule.title,
                message=f"{finding.rule.title}\n{finding.message}",
                urn=finding.urn,
                enforcementLevel=analyzer_pb2.EnforcementLevel.Value(finding.level.name),
                severity=analyzer_pb2.PolicySeverity.Value(
                    f"POLICY_SEVERITY_{finding.rule.severity.name}"
                ),
            )
        )
    return answer


def serve(config: Mapping[str, Any], today: date) -> None:
    """Answers the engine until it ends this process. Prints the port, as the engine expects."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=THREADS),
        options=[("grpc.max_receive_message_length", LARGEST_MESSAGE)],
    )
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Server(Judged.of(config), today), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
