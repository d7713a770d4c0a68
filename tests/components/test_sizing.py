"""Sizes: the page says what the code does, and a larger profile is nowhere smaller."""

import pytest

import settings
from components.runtime.catalog import PLACES
from components.sizing import PROFILES, Size, markdown
from tools.paths import ROOT


@pytest.mark.parametrize("profile", PROFILES)
def test_the_page_shows_the_profiles(profile):
    assert f"## {profile}\n\n{markdown(profile)}\n" in (ROOT / "docs/sizing.md").read_text()


def test_profiles_name_the_same_services_and_grow():
    assert tuple(PROFILES) == settings.PROFILES
    assert {frozenset(sizes) for sizes in PROFILES.values()} == {frozenset(PROFILES["small"])}
    assert set(PROFILES["small"]) <= set(PLACES)
    for name in PROFILES["small"]:
        grown = [PROFILES[profile][name] for profile in PROFILES]
        for field in ("cores", "memory_mib", "disk_gib", "replicas"):
            values = [getattr(size, field) for size in grown]
            assert values == sorted(values), (name, field)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected cores, memory and replicas above 0"):
        Size(cores=0, memory_mib=1)
