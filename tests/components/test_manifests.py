"""What production declares changes only where somebody has looked at it."""

import difflib

import pytest

from tests.components.manifests import FILES, GOLDEN, changes, manifests, rendered

COMMAND = ".venv/bin/python -m tests.components.manifests"


@pytest.mark.parametrize("name", FILES)
def test_production_is_as_it_was_seen_last(name):
    seen = (GOLDEN / f"{name}.yaml").read_text().splitlines()
    now = rendered(name).splitlines()
    difference = "\n".join(difflib.unified_diff(seen, now, "seen", "now", lineterm="", n=1))
    assert not difference, f"if this is meant, run `{COMMAND}`:\n{difference}"


def test_no_secret_is_written_down():
    for place, one in manifests("small").items():
        if "/Secret/" in place:
            assert isinstance(one.get("stringData", []), list), place


def test_a_profile_shows_what_it_changes():
    found = dict(changes({"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 1, "c": [1, 3]}, "d": 4}))
    assert found == {"a: c[1]": 3, "d": 4}
