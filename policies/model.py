"""What a rule is, and what it judges. Plain data: no pulumi import."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from flow.model import DataFlow
from policies.values import Node, NotKnown


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Level(StrEnum):
    """What a violation does. The values are those of a pack's configuration."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


class Environment(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    PROD = "prod"


ENVIRONMENTS = {  # dataflow:runtime -> what the stack is for
    "process": Environment.LOCAL,
    "docker": Environment.DEV,
    "kubernetes": Environment.PROD,
}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a stack.

    type: its token. kept: whether destroy leaves the object; None when that cannot be told, since
    the engine does not tell a policy of retainOnDelete.
    """

    type: str
    name: str
    props: Node
    urn: str = ""
    kept: bool | None = None

    @property
    def kind(self) -> str:
        """The last part of the token, such as `Deployment`."""
        return self.type.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """All resources of a stack.

    flow: what moves through it; None where no flow could be read. models: dbt model -> its SQL.
    keep_data: whether destroy leaves data behind (`dataflow:keepData`).
    """

    resources: tuple[Resource, ...]
    environment: Environment
    flow: DataFlow | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    keep_data: bool = False

    def of(self, *types: str) -> Iterator[Resource]:
        return (resource for resource in self.resources if matches(resource.type, types))


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One offence. detail: what is wrong, beyond what the rule says; name: of the resource, "" for
    the one that was judged; urn: as name."""

    path: str
    shown: str = ""
    detail: str = ""
    name: str = ""
    urn: str = ""


def violation(node: Node, detail: str = "", of: Resource | None = None) -> Violation:
    return Violation(
        path=node.path,
        shown=node.shown(),
        detail=detail,
        name=of.name if of else "",
        urn=of.urn if of else "",
    )


def offence(path: str, detail: str = "not set", of: Resource | None = None) -> Violation:
    """A violation that shows no value: there is none, or it is a credential."""
    return Violation(
        path=path, detail=detail, name=of.name if of else "", urn=of.urn if of else ""
    )


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A parameter of a rule. schema: JSON schema of its values."""

    default: Any
    schema: Mapping[str, Any]
    text: str


def names(default: Iterable[str], text: str) -> Setting:
    schema = {"type": "array", "items": {"type": "string"}}
    return Setting(default=list(default), schema=schema, text=text)


def number(default: int, text: str) -> Setting:
    return Setting(default=default, schema={"type": "integer"}, text=text)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a check knows beside the resource. settings: the rule's, all of them."""

    environment: Environment
    settings: Mapping[str, Any]


Found = Iterator[Violation]
Check = Callable[[Resource, Context], Found]
StackCheck = Callable[[Stack, Context], Found]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule with its text and its check: of each resource of `types`, or of the whole stack.

    id: as in messages and configuration. title: what must hold. why: what happens otherwise.
    fix: what to do. types: tokens, `*` stands for anything.
    local_gap: what the local stack lacks to fulfil it; the rule is then advisory there.
    """

    id: str
    title: str
    why: str
    fix: str
    severity: Severity
    types: tuple[str, ...] = ()
    check: Check | None = None
    stack: StackCheck | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    local_gap: str = ""

    def __post_init__(self) -> None:
        if (self.check is None) == (self.stack is None) or (self.check and not self.types):
            raise ValueError(f"rule {self.id}: expected a check with types, or a stack check")

    def level(self, environment: Environment) -> Level:
        """The level when the pack's configuration says nothing else."""
        if environment is Environment.LOCAL:
            mandatory = not self.local_gap
        elif environment is Environment.DEV:
            mandatory = self.severity is Severity.HIGH
        else:
            mandatory = self.severity is not Severity.LOW
        return Level.MANDATORY if mandatory else Level.ADVISORY


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """Resources that a rule does not judge until a day. resource: name, or a pattern with `*`."""

    resource: str
    owner: str
    reason: str
    expires: date

    def covers(self, name: str) -> bool:
        return fnmatchcase(name, self.resource)


def matches(token: str, types: Iterable[str]) -> bool:
    return any(token == one or ("*" in one and fnmatchcase(token, one)) for one in types)


def each(
    subjects: Callable[[Resource], Iterable[Any]], check: Callable[[Any, Context], Found]
) -> Check:
    """A check of each part of a resource: an unknown value in one does not hide the others."""

    def run(resource: Resource, context: Context) -> Found:
        for subject in subjects(resource):
            try:
                yield from check(subject, context)
            except NotKnown:
                continue

    return run


def each_of(*types: str, check: Callable[[Resource, Stack, Context], Found]) -> StackCheck:
    """A check of each resource of some types with the others at hand."""

    def run(stack: Stack, context: Context) -> Found:
        for resource in stack.of(*types):
            try:
                yield from check(resource, stack, context)
            except NotKnown:
                continue

    return run
