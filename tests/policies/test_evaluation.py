"""Levels, settings and exceptions of a configuration, and what holds for every state."""

from datetime import date

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policies.catalog import RULES
from policies.evaluation import ConfigurationError, configured
from policies.model import Environment, Level, Resource, Severity, Stack
from policies.values import UNKNOWN, Node, Secret
from tests.policies.golden import GOLDEN, built, changed

TODAY = date(2026, 11, 1)
PUBLIC = changed("bucket", ("acl",), "public-read")


def found(configuration: dict, environment: Environment = Environment.PROD) -> list:
    pack = configured(environment, configuration, TODAY)
    return [finding for finding in pack.judge_all(built(PUBLIC)) if finding.rule.id == "S02"]


@pytest.mark.parametrize(
    ("environment", "severity", "level"),
    [
        (Environment.PROD, Severity.HIGH, Level.MANDATORY),
        (Environment.PROD, Severity.MEDIUM, Level.MANDATORY),
        (Environment.PROD, Severity.LOW, Level.ADVISORY),
        (Environment.DEV, Severity.HIGH, Level.MANDATORY),
        (Environment.DEV, Severity.MEDIUM, Level.ADVISORY),
    ],
)
def test_the_level_follows_from_environment_and_severity(environment, severity, level):
    assert {r.level(environment) for r in RULES if r.severity is severity} == {level}


def test_on_local_a_rule_is_mandatory_unless_it_says_what_is_missing():
    for rule in RULES:
        wanted = Level.ADVISORY if rule.local_gap else Level.MANDATORY
        assert rule.level(Environment.LOCAL) is wanted


@pytest.mark.parametrize("given_", ["advisory", {"enforcementLevel": "advisory"}])
def test_a_configuration_sets_the_level(given_):
    assert [f.level for f in found({})] == [Level.MANDATORY]
    assert [f.level for f in found({"S02": given_})] == [Level.ADVISORY]
    assert found({"S02": "disabled"}) == []
    assert found({"all": "disabled"}) == []
    assert len(found({"all": "disabled", "S02": "advisory"})) == 1


def exception(**changes) -> dict:
    return {
        "S02": {
            "exceptions": [
                {"resource": "buck*", "owner": "data", "reason": "open data",
                 "expires": "2026-11-01", **changes}
            ]
        }
    }  # fmt: skip


def test_an_exception_holds_until_its_day_and_for_its_resources():
    assert found(exception()) == []
    assert len(found(exception(resource="other"))) == 1
    [late] = found(exception(expires="2026-10-31"))
    assert late.message.endswith("(the exception of data ended 2026-10-31)")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"S99": "advisory"}, "'S99': unknown rule, expected one of K01"),
        ({"S02": "harsh"}, "S02: level 'harsh': expected one of mandatory, advisory, disabled"),
        ({"K12": {"registry": []}}, "K12.registry: unknown, expected one of registries"),
        (exception(expires="soon"), "S02.exceptions"),
        ({"S02": {"exceptions": [{"resource": "x"}]}}, "expected resource, owner, reason"),
    ],
)
def test_a_wrong_configuration_is_named(configuration, message):
    with pytest.raises(ConfigurationError) as error:
        configured(Environment.PROD, configuration, TODAY)
    assert message in str(error.value)


def test_a_setting_reaches_its_rule():
    image = changed("container", ("image",), "registry.example.com/x@sha256:" + "0" * 64)
    for registries, count in ((["docker.io"], 1), (["registry.example.com"], 0)):
        pack = configured(Environment.PROD, {"D08": {"registries": registries}}, TODAY)
        [container] = [one for one in built(image).resources if one.name == "container"]
        hits = [f for f in pack.judge(container) if f.rule.id == "D08"]
        assert len(hits) == count


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["true", "https://x", "host all all all trust", "{", "[", "a=b", "90d", "*"]),
    st.just(UNKNOWN),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=8), inner, max_size=3),
        inner.map(Secret),
    ),
    max_leaves=8,
)


def paths(value: object, at: tuple = ()) -> list[tuple]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += paths(item, (*at, index))
    return found


SECRET = "53cr37"
PLACES = [(key, path) for key, (_, props) in GOLDEN.items() for path in paths(props)]
PROD = configured(Environment.PROD, {}, TODAY)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.sampled_from(PLACES), value=VALUES)
@example(place=("cnpg", ("spec", "postgresql", "pg_hba")), value=[None])
def test_no_state_makes_a_rule_fail(place, value):
    """Whatever stands in any one place of the golden stack."""
    key, path = place
    stack = built(changed(key, path, value))
    for finding in PROD.judge_all(stack):
        assert finding.message


@settings(max_examples=50, deadline=None)
@given(
    token=st.sampled_from(sorted({token for token, _ in GOLDEN.values()})),
    props=st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
)
def test_a_resource_of_any_shape_is_judged(token, props):
    one = Resource(type=token, name="x", props=Node(props))
    list(PROD.judge_all(Stack(resources=(one,), environment=Environment.PROD)))


@settings(max_examples=50, deadline=None)
@given(place=st.sampled_from(PLACES))
def test_what_is_unknown_is_no_violation_on_a_resource(place):
    key, path = place
    stack = built(changed(key, path, UNKNOWN))
    [resource] = [one for one in stack.resources if one.name == key]
    assert [f.message for f in PROD.judge(resource)] == []


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_message_holds_a_secret(place):
    key, path = place
    stack = built(changed(key, path, Secret(f"https://user:{SECRET}@host")))
    for finding in PROD.judge_all(stack):
        assert SECRET not in finding.message
