"""No secret reaches a comment, wherever in a preview it was planted."""

import json

import pytest

from review.cli import read, written
from review.masking import names_secret
from review.report import review
from tests.review.sample import context
from tests.review.steps import preview_of, step

PLANT = "Pl4nted-v4lue"
PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
PLACES = {
    "under a name": {"adminPassword": PLANT},
    "nested": {"configuration": {"tunnel": [{"api_key": PLANT}]}},
    "a map of secrets": {"credentials": {"one": PLANT}},
    "files that are secret": {"secretFiles": {"a": PLANT}},
    "a list": {"tokens": [PLANT]},
    "an address": {"url": f"postgresql://user:{PLANT}@db/shop"},
    "an option": {"command": ["run", "--password", PLANT]},
    "an assignment": {"args": [f"--client-secret={PLANT}"]},
    "a variable": {"envs": [f"DB_PASSWORD={PLANT}"]},
    "a named entry": {"env": [{"name": "DB_PASSWORD", "value": PLANT}]},
    "a document": {"content": json.dumps({"password": PLANT})},
    "a settings file": {"content": f"[db]\nsecret_key = {PLANT}\n"},
    "a private key": {"pem": f"-----BEGIN PRIVATE KEY-----\n{PLANT}\n-----END PRIVATE KEY-----"},
}


def texts(preview: str, secrets=()) -> list[str]:
    found = review(read(preview), context())
    return [
        written(found, format_=format_, title="Review", secrets=secrets)
        for format_ in ("github", "gitlab", "terminal", "json")
    ]


@pytest.mark.parametrize("op", ["create", "update", "delete", "replace"])
@pytest.mark.parametrize("place", PLACES)
def test_a_planted_secret_does_not_appear(place, op):
    inputs = {"name": "x", **PLACES[place]}
    old = inputs if op in ("delete", "replace") else {"name": "x"}
    diff = {key: "update" for key in PLACES[place]}
    planted = step(
        op,
        PROCESS,
        old=None if op == "create" else old,
        new=None if op == "delete" else inputs,
        diff=diff,
    )
    for text in texts(preview_of(planted)):
        assert PLANT not in text
        # A document that stays the same is not shown at all.
        assert "[secret]" in text or op == "replace"


def test_a_secret_that_is_known_from_one_place_is_masked_in_every_other():
    planted = step("create", PROCESS, new={"password": PLANT, "motto": f"my {PLANT}!"})
    said = {"severity": "error", "message": f"cannot log in with {PLANT}"}
    rule = {"policyName": "r", "enforcementLevel": "mandatory", "message": f"saw {PLANT}"}
    for text in texts(preview_of(planted, diagnostics=[said], policyEvents=[rule])):
        assert PLANT not in text


def test_a_secret_of_the_configuration_is_masked_though_nothing_names_it():
    planted = step("create", PROCESS, new={"motto": f"<{PLANT}>"})
    assert all(PLANT in text for text in texts(preview_of(planted)))
    assert not any(PLANT in text for text in texts(preview_of(planted), [PLANT]))


def test_the_data_of_a_kubernetes_secret_is_masked_whatever_its_keys():
    planted = step(
        "create", "kubernetes:core/v1:Secret", new={"stringData": {"colour": PLANT}, "data": {}}
    )
    for text in texts(preview_of(planted)):
        assert PLANT not in text


def test_what_the_engine_has_blinded_is_told_as_a_change_without_a_value():
    both = {"password": "[secret]"}
    changed = step("update", PROCESS, old=both, new=both, diff={"password": "update"})
    comment = texts(preview_of(changed))[0]
    assert "password: [secret] (changed)" in comment
    assert "- **secret**" in comment


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "adminPassword",
        "secretKey",
        "api_key",
        "accessToken",
        "DB_PASSWORD",
        "sqlalchemyUri",
        "clientSecret",
        "private_key",
        "dataflow:seed",
        "secretFiles",
    ],
)
def test_names_of_secrets_are_known(key):
    assert names_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "passwordFile",
        "secretName",
        "primaryKey",
        "secretsProvider",
        "tokenLifetime",
        "cursorField",
        "credentialType",
        "access_key_id",
        "keepData",
        "passwordFilePath",
    ],
)
def test_names_of_what_is_no_secret_are_left(key):
    assert not names_secret(key)
