"""Runs rules over resources, with the levels, settings and exceptions of a configuration.

A configuration has the shape that `pulumi --policy-pack-config` takes: rule id -> level, or an
object of `enforcementLevel`, the rule's settings and `exceptions`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from policies.catalog import RULES
from policies.model import (
    Context,
    Environment,
    Exemption,
    Found,
    Level,
    Resource,
    Rule,
    Stack,
    Violation,
    matches,
)
from policies.values import NotKnown

LEVEL_KEY = "enforcementLevel"
EXCEPTIONS_KEY = "exceptions"
EXCEPTIONS_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["resource", "owner", "reason", "expires"],
        "additionalProperties": False,
        "properties": {
            "resource": {"type": "string"},
            "owner": {"type": "string", "minLength": 1},
            "reason": {"type": "string", "minLength": 1},
            "expires": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        },
    },
}


class ConfigurationError(ValueError):
    """A configuration that cannot be used. The text names rule, key and value."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A violation as it is reported. urn: "" for the stack as a whole."""

    rule: Rule
    level: Level
    name: str
    urn: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Configured:
    """A rule as one stack runs it."""

    rule: Rule
    level: Level
    context: Context
    exceptions: tuple[Exemption, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pack:
    """All rules as one stack runs them. today: decides which exceptions hold."""

    rules: tuple[Configured, ...]
    today: date
    _by_type: dict[str, tuple[Configured, ...]] = field(default_factory=dict, repr=False)

    def judge(self, resource: Resource) -> Iterator[Finding]:
        """What the rules on single resources find."""
        for one in self._rules_on(resource.type):
            assert one.rule.check is not None  # noqa: S101 - for the type checker
            found = one.rule.check(resource, one.context)
            yield from self._findings(one, found, resource)

    def judge_stack(self, stack: Stack) -> Iterator[Finding]:
        """What the rules on the whole stack find."""
        for one in self.rules:
            if one.rule.stack is not None and one.level is not Level.DISABLED:
                yield from self._findings(one, one.rule.stack(stack, one.context), None)

    def judge_all(self, stack: Stack) -> Iterator[Finding]:
        for resource in stack.resources:
            yield from self.judge(resource)
        yield from self.judge_stack(stack)

    def _rules_on(self, token: str) -> tuple[Configured, ...]:
        if token not in self._by_type:
            self._by_type[token] = tuple(
                one
                for one in self.rules
                if one.rule.check is not None
                and one.level is not Level.DISABLED
                and matches(token, one.rule.types)
            )
        return self._by_type[token]

    def _findings(
        self, one: Configured, found: Found, resource: Resource | None
    ) -> Iterator[Finding]:
        """One finding per resource, which lists everything that is wrong with it."""
        offences: dict[tuple[str, str], list[str]] = {}
        try:
            for offence in found:
                name = offence.name or (resource.name if resource else "")
                urn = offence.urn or (resource.urn if resource else "")
                offences.setdefault((name, urn), []).append(_told(offence))
        except NotKnown:
            pass  # the rest is judged when the value is known: in the update at the latest
        for (name, urn), told in offences.items():
            exceptions = [e for e in one.exceptions if e.covers(name)]
            if any(self.today <= exception.expires for exception in exceptions):
                continue
            text = f"{name or 'the stack'}: {'; '.join(told)}: {one.rule.fix}"
            for exception in exceptions:
                text += f" (the exception of {exception.owner} ended {exception.expires})"
            yield Finding(rule=one.rule, level=one.level, name=name, urn=urn, message=text)


def _told(offence: Violation) -> str:
    shown = f"is {offence.shown}" if offence.shown else ""
    detail = f"({offence.detail})" if offence.shown and offence.detail else offence.detail
    return " ".join(part for part in (offence.path, shown, detail) if part)


def configured(
    environment: Environment,
    configuration: Mapping[str, Any],
    today: date,
    rules: Iterable[Rule] = RULES,
) -> Pack:
    """The pack of an environment. Raises ConfigurationError."""
    rules = tuple(rules)
    known = [rule.id for rule in rules]
    for key in configuration:
        if key not in known and key != "all":
            raise ConfigurationError(f"{key!r}: unknown rule, expected one of {', '.join(known)}")
    return Pack(
        rules=tuple(
            _configured(rule, environment, configuration.get(rule.id, configuration.get("all")))
            for rule in rules
        ),
        today=today,
    )


def _configured(rule: Rule, environment: Environment, given: Any) -> Configured:
    values = dict(given) if isinstance(given, Mapping) else {}
    level = values.pop(LEVEL_KEY, None) if isinstance(given, Mapping) else given
    exceptions = tuple(_exception(rule, item) for item in values.pop(EXCEPTIONS_KEY, ()))
    unknown = sorted(set(values) - set(rule.settings))
    if unknown:
        valid = ", ".join((*rule.settings, LEVEL_KEY, EXCEPTIONS_KEY))
        raise ConfigurationError(f"{rule.id}.{unknown[0]}: unknown, expected one of {valid}")
    settings = {key: setting.default for key, setting in rule.settings.items()} | values
    return Configured(
        rule=rule,
        level=_level(rule, level) or rule.level(environment),
        context=Context(environment=environment, settings=settings),
        exceptions=exceptions,
    )


def _level(rule: Rule, given: Any) -> Level | None:
    if given is None:
        return None
    try:
        return Level(given)
    except ValueError:
        valid = ", ".join(Level)
        raise ConfigurationError(f"{rule.id}: level {given!r}: expected one of {valid}") from None


def _exception(rule: Rule, item: Any) -> Exemption:
    try:
        return Exemption(**{**item, "expires": date.fromisoformat(item["expires"])})
    except (TypeError, KeyError, ValueError) as fault:
        raise ConfigurationError(
            f"{rule.id}.{EXCEPTIONS_KEY}: {item!r}: {fault}: expected resource, owner, reason and "
            "expires, a day such as 2027-01-31"
        ) from None
