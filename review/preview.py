"""The engine's preview as typed steps: what `pulumi preview --json` prints, and its event log.

The shape is that of PreviewDigest in the engine (github.com/pulumi/pulumi, pkg/display/json.go).
Policy violations are not part of it: the engine hands them to its event log only.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from review.paths import ABSENT, parse, value_at

SECRET_MARK = "[secret]"  # noqa: S105 - how the engine shows any secret
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # the engine's sentinel for a value to come
POLICY_EVENTS = "policyEvents"  # ours: see with_policy_events
MANDATORY = "mandatory"
_ADVISORY = frozenset({"warning", "advisory", "note", "none"})
_COLOR = re.compile(r"<\{%.*?%\}>")  # the engine's own colour tags
_DYNAMIC = re.compile(r"pulumi-python:dynamic/dataflow/(?P<area>\w+):(?P<name>\w+)\Z")
# Several steps of one resource -> what happens to it. The engine's names of operations:
# https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/
_OPS = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "discard-replaced": "replace",
    "remove-pending-replace": "replace",
    "import-replacement": "replace",
    "read-replacement": "replace",
    "import": "import",
}
_UNCHANGED = frozenset({"same", "refresh", "read", "discard"})


class PreviewError(ValueError):
    """A text that is no preview; says what was expected."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One changed property. path: as the engine writes it, `streams[0].syncMode`.
    kind: add, update or delete. old, new: ABSENT where there is none."""

    path: str
    kind: str
    old: Any = ABSENT
    new: Any = ABSENT

    @property
    def keys(self) -> tuple[str | int, ...]:
        return parse(self.path)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to one resource.

    op: create, update, delete, replace or import. kind: `area:Kind`, such as `airbyte:Connection`
    or `kubernetes:Deployment`. old, new: its inputs, {} where there are none.
    """

    op: str
    urn: str
    type: str
    kind: str
    name: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    fields: tuple[Field, ...] = ()
    replaced_by: tuple[str, ...] = ()  # the properties that force a replacement
    retained: bool = False  # a delete leaves the object in the service
    protected: bool = False

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The new inputs, or the last ones of what goes away."""
        return self.new or self.old

    @property
    def lost(self) -> bool:
        """Whether the object itself goes away, with what is in it."""
        return self.op in ("delete", "replace") and not self.retained

    def changed(self, *roots: str) -> bool:
        """Whether a property under one of these names changes."""
        return any(field.keys and field.keys[0] in roots for field in self.fields)


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A policy that a resource breaks. level: advisory or mandatory."""

    policy: str
    pack: str
    level: str
    severity: str
    message: str
    resource: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """steps: changes only, sorted by kind and name. unchanged: how many resources stay."""

    steps: tuple[Step, ...]
    unchanged: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    violations: tuple[Violation, ...] = ()

    def with_violations(self, more: Sequence[Violation]) -> "Preview":
        known = {*self.violations, *more}
        ordered = sorted(known, key=lambda v: (v.level != "mandatory", v.policy, v.resource))
        return replace(self, violations=tuple(ordered))


def load(text: str) -> Preview:
    """The preview in what `pulumi preview --json` (or `refresh --preview-only --json`) printed.

    Raises PreviewError.
    """
    raw = _document(text)
    steps = [step for step in raw.get("steps") or [] if "urn" in step]
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        if step.get("op") not in _UNCHANGED:
            grouped.setdefault(step["urn"], []).append(step)
    made = [_step(urn, group) for urn, group in grouped.items()]
    return Preview(
        steps=tuple(sorted(made, key=lambda step: (step.kind, step.name, step.urn))),
        unchanged=int((raw.get("changeSummary") or {}).get("same", 0)),
        diagnostics=tuple(_diagnostics(raw.get("diagnostics") or [])),
    ).with_violations([violation_of(event) for event in raw.get(POLICY_EVENTS) or []])


def with_policy_events(text: str, event_log: str) -> str:
    """The preview's JSON with the policy events of its event log (one JSON object a line), which
    the engine leaves out of it. Raises PreviewError."""
    try:
        events = [json.loads(line) for line in event_log.splitlines() if line.strip()]
    except ValueError as fault:
        raise PreviewError(f"event log: {fault}") from None
    found = [event["policyEvent"] for event in events if event.get("policyEvent")]
    return json.dumps({**_document(text), POLICY_EVENTS: found})


def violation_of(event: Mapping[str, Any]) -> Violation:
    """The engine's policyEvent (sdk/go/common/apitype/events.go)."""
    return Violation(
        policy=str(event.get("policyName", "")),
        pack=str(event.get("policyPackName", "")),
        level=level_of(str(event.get("enforcementLevel", ""))),
        severity=str(event.get("severity", "")),
        message=first_paragraph(str(event.get("message", ""))),
        resource=str(event.get("resourceUrn", "")).rpartition("::")[2],
    )


def level_of(text: str) -> str:
    return "advisory" if text in _ADVISORY else MANDATORY  # `mandatory`, `remediate`, `error`


def first_paragraph(text: str) -> str:
    return _COLOR.sub("", text).strip().split("\n\n")[0].strip()


def _document(text: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(text)
    except ValueError as fault:
        raise PreviewError(
            f"not JSON ({fault}): expected the output of pulumi preview --json"
        ) from None
    if not isinstance(raw, Mapping) or not isinstance(raw.get("steps", []), list):
        raise PreviewError('expected an object with "steps", as pulumi preview --json prints it')
    return raw


def _step(urn: str, group: Sequence[Mapping[str, Any]]) -> Step:
    ops = [_op(step) for step in group]
    op = "replace" if "replace" in ops else ops[0]
    oldest: Mapping[str, Any] = next((s["oldState"] for s in group if s.get("oldState")), {})
    newest: Mapping[str, Any] = next((s["newState"] for s in group if s.get("newState")), {})
    old = _inputs(oldest) if op != "create" else {}
    new = _inputs(newest) if op != "delete" else {}
    type_, name = urn.split("::")[2].rpartition("$")[2], urn.rpartition("::")[2]
    return Step(
        op=op,
        urn=urn,
        type=type_,
        kind=kind_of(type_),
        name=name,
        old=old,
        new=new,
        fields=_fields(op, old, new, group, oldest),
        replaced_by=tuple(sorted({key for s in group for key in s.get("replaceReasons") or []})),
        retained=bool(oldest.get("retainOnDelete")),
        protected=bool(oldest.get("protect")),
    )


def _op(step: Mapping[str, Any]) -> str:
    try:
        return _OPS[step["op"]]
    except KeyError:
        raise PreviewError(
            f"op {step.get('op')!r} of {step['urn']}: expected one of "
            f"{', '.join(sorted({*_OPS, *_UNCHANGED}))}"
        ) from None


def _inputs(state: Mapping[str, Any]) -> dict[str, Any]:
    inputs = state.get("inputs") or {}
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


def kind_of(type_: str) -> str:
    """`minio:index/s3Bucket:S3Bucket` -> `minio:S3Bucket`."""
    if found := _DYNAMIC.match(type_):
        return f"{found['area']}:{found['name']}"
    package, _, rest = type_.partition(":")
    if type_.startswith("pulumi:providers:"):
        return f"provider:{type_.rpartition(':')[2]}"
    return f"{package}:{rest.rpartition(':')[2]}"


def _fields(
    op: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    group: Sequence[Mapping[str, Any]],
    oldest: Mapping[str, Any],
) -> tuple[Field, ...]:
    if op in ("create", "import"):
        return tuple(Field(path=key, kind="add", new=new[key]) for key in sorted(new))
    if op == "delete":
        return tuple(Field(path=key, kind="delete", old=old[key]) for key in sorted(old))
    detailed: dict[str, Mapping[str, Any]] = {}
    for step in group:
        detailed.update(step.get("detailedDiff") or {})
    # Without a detailed diff (a provider that gives none) the inputs are compared.
    if not detailed:
        keys = [key for key in {*old, *new} if old.get(key, ABSENT) != new.get(key, ABSENT)]
        reasons = {reason for step in group for reason in step.get("diffReasons") or []}
        detailed = {key: {} for key in {*keys, *reasons}}
    outputs = oldest.get("outputs") or {}
    found = (_field(path, what, old, new, outputs) for path, what in detailed.items())
    return tuple(
        sorted((f for f in found if not f.path.startswith("__")), key=lambda field: field.path)
    )


def _field(
    path: str,
    what: Mapping[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> Field:
    keys = parse(path)
    before, after = value_at(old, keys), value_at(new, keys)
    if before is ABSENT and not what.get("inputDiff", True):
        before = value_at(outputs, keys)  # the provider compared with what it had read
    kind = str(what.get("kind", "")).removesuffix("-replace") or _kind(before, after)
    return Field(path=path, kind=kind, old=before, new=after)


def _kind(before: Any, after: Any) -> str:
    if before is ABSENT:
        return "add"
    return "delete" if after is ABSENT else "update"


def _diagnostics(raw: Sequence[Mapping[str, Any]]) -> Iterator[Diagnostic]:
    for entry in raw:
        message = str(entry.get("message", "")).strip()
        if message and entry.get("severity") in ("warning", "error"):
            yield Diagnostic(
                severity=entry["severity"], message=message, urn=str(entry.get("urn", ""))
            )
