"""Each rule: silent on a good stack, loud on one changed property, patient with unknown values."""

import dataclasses
from datetime import date

import pytest

from flow.commerce import FLOW
from policies.catalog import RULES
from policies.evaluation import Pack, configured
from policies.model import Environment
from policies.values import UNKNOWN, Secret
from tests.policies.golden import GOLDEN, MUTATIONS, Mutation, built, changed

TODAY = date(2026, 11, 1)
# Rules that no single property breaks have tests of their own below.
ELSEWHERE = {"F01", "X04"}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return configured(Environment.PROD, {}, TODAY)


def test_the_golden_stack_breaks_no_rule(pack):
    assert [finding.message for finding in pack.judge_all(built())] == []


def test_every_rule_has_a_mutation():
    assert {m.rule for m in MUTATIONS} | ELSEWHERE == {rule.id for rule in RULES}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_changed_property_breaks_exactly_these_rules(mutation: Mutation, pack):
    found = list(pack.judge_all(built(changed(mutation.resource, mutation.path, mutation.value))))
    assert {finding.rule.id for finding in found} == {mutation.rule, *mutation.also}
    [one] = [f for f in found if f.rule.id == mutation.rule][:1]
    assert one.message.startswith(f"{one.name or 'the stack'}: ")
    assert one.message.endswith(one.rule.fix)
    for finding in found:
        assert "hunter22" not in finding.message and "kkkk" not in finding.message
        if isinstance(mutation.value, Secret):
            assert str(mutation.value.value) not in finding.message


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_value_that_is_not_known_yet_breaks_no_rule(mutation: Mutation, pack):
    stack = built(changed(mutation.resource, mutation.path, UNKNOWN))
    found = [f.message for f in pack.judge_all(stack) if f.rule.id == mutation.rule]
    assert found == []


@pytest.mark.parametrize("key", GOLDEN)
def test_a_resource_of_which_nothing_is_known_breaks_no_rule_on_resources(key, pack):
    stack = built({key: dict.fromkeys(GOLDEN[key][1], UNKNOWN)})
    [resource] = [one for one in stack.resources if one.name == key]
    assert list(pack.judge(resource)) == []


def findings(pack: Pack, stack, rule: str) -> list[str]:
    return [finding.message for finding in pack.judge_all(stack) if finding.rule.id == rule]


def test_x04_data_that_a_destroy_would_delete(pack):
    found = findings(pack, built(kept=False), "X04")
    names = {message.partition(":")[0] for message in found}
    assert names == {"bucket", "statefulset", "claim", "eck", "cnpg"}
    kept = dataclasses.replace(built(), keep_data=True)
    assert findings(pack, kept, "X04") == []


def test_x04_a_stack_without_a_backup(pack):
    stack = built()
    bare = tuple(one for one in stack.resources if one.name == "bucket")
    [found] = findings(pack, dataclasses.replace(stack, resources=bare), "X04")
    assert "no backup resource" in found


def with_customers(**changes) -> "object":
    customers, *others = FLOW.streams
    streams = (dataclasses.replace(customers, **changes), *others)
    return dataclasses.replace(built(), flow=dataclasses.replace(FLOW, streams=streams))


MODELS = {
    "stg_customers": "SELECT customer_id, TRIM(UPPER(name)) AS customer_name, email "
    "FROM {{ source('bronze', 'customers') }}",
    "int_customer_orders": "SELECT c.* FROM {{ ref('stg_customers') }} AS c "
    "JOIN {{ ref('stg_orders') }} AS o ON c.customer_id = o.customer_id",
    "fct_customer_lifetime_value": "WITH a AS (SELECT * FROM {{ ref('int_customer_orders') }}) "
    "SELECT customer_id, customer_name, SHA256(email) AS email FROM a",
}


def test_f01_personal_data_without_readers(pack):
    stack = dataclasses.replace(with_customers(pii_readers=()), models=MODELS)
    [found] = findings(pack, stack, "F01")
    assert "gold.fct_customer_lifetime_value.customer_name shows customers.name" in found
    assert "Customers by lifetime value customer_name shows customers.name" in found
    assert "customers.email" not in found  # masked
    assert findings(pack, dataclasses.replace(built(), models=MODELS), "F01") == []


def test_f01_masked_in_the_first_model(pack):
    masked = MODELS | {
        "stg_customers": "SELECT SHA256(name) AS customer_name, COUNT(email) AS email "
        "FROM {{ source('bronze', 'customers') }}"
    }
    stack = dataclasses.replace(with_customers(pii_readers=()), models=masked)
    assert findings(pack, stack, "F01") == []


def test_r03_a_reflection_on_personal_data_without_readers(pack):
    [found] = findings(pack, with_customers(pii_readers=()), "R03")
    assert 'reflection: displayFields[1] is "name"' in found


def test_f03_a_flow_without_residency(pack):
    stack = dataclasses.replace(built(), flow=dataclasses.replace(FLOW, residency=()))
    assert len(findings(pack, stack, "F03")) == 1


def test_f04_personal_data_kept_for_ever(pack):
    [found] = findings(pack, with_customers(retention_days=None), "F04")
    assert "stream postgres.customers retention_days" in found


def test_f05_personal_data_for_the_public(pack):
    [found] = findings(pack, with_customers(pii_readers=("Public",)), "F05")
    assert "pii_readers" in found


def test_p07_libpq_may_be_told_by_a_variable(pack):
    quiet = '{"database": {"dbname": "a"}, "authEnabled": true}'
    props = changed("postgres", ("files", "airbyte.json"), quiet)
    assert len(findings(pack, built(props), "P07")) == 1
    for mode, count in (("verify-full", 0), ("require", 1), (UNKNOWN, 0)):
        props["postgres"]["environment"]["PGSSLMODE"] = mode
        assert len(findings(pack, built(props), "P07")) == count
