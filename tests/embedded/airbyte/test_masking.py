"""Secrets never leave, and survive a round trip through the mask."""

from embedded.airbyte import masking
from embedded.airbyte.masking import MASK

SCHEMA = {
    "properties": {
        "host": {"type": "string"},
        "password": {"type": "string", "airbyte_secret": True},
        "ssl": {
            "oneOf": [
                {"properties": {"mode": {"const": "disable"}}},
                {"properties": {"mode": {}, "key": {"airbyte_secret": True}}},
            ]
        },
        "tokens": {
            "type": "array",
            "items": {"properties": {"value": {"airbyte_secret": True}, "name": {}}},
        },
    }
}
CONFIG = {
    "host": "db",
    "password": "p",
    "ssl": {"mode": "verify", "key": "k"},
    "tokens": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
}
SECRETS = masking.secret_paths(SCHEMA)


def test_secret_leaves_are_found_in_variants_and_arrays() -> None:
    assert SECRETS == {("password",), ("ssl", "key"), ("tokens", "*", "value")}
    assert sorted(masking.values(CONFIG, SECRETS)) == ["1", "2", "k", "p"]


def test_the_mask_keeps_the_stored_value() -> None:
    masked = masking.mask(CONFIG, SECRETS)
    assert masked == {
        "host": "db",
        "password": MASK,
        "ssl": {"mode": "verify", "key": MASK},
        "tokens": [{"name": "a", "value": MASK}, {"name": "b", "value": MASK}],
    }
    assert masking.keep(masked, CONFIG, SECRETS) == CONFIG
    changed = masking.keep(masked | {"host": "new", "password": "q"}, CONFIG, SECRETS)
    assert changed == CONFIG | {"host": "new", "password": "q"}


def test_the_mask_is_kept_only_in_place_of_a_secret() -> None:
    assert masking.keep({"host": MASK}, CONFIG, SECRETS) == {"host": MASK}


def test_patch_merges_objects_and_replaces_the_rest() -> None:
    patch = {"ssl": {"mode": "full"}, "tokens": []}
    assert masking.merge(CONFIG, patch) == {
        "host": "db",
        "password": "p",
        "ssl": {"mode": "full", "key": "k"},
        "tokens": [],
    }
