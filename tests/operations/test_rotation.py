"""Seeds change places, whenever the command is interrupted."""

import pytest

from dynamic_providers.credentials import FORMER_SEED_KEY, NEXT_SEED_KEY, SEED_KEY
from operations.rotation import swapped


class Interrupted(Exception):
    pass


class Settings:
    """The settings of a stack, whose writes end by an interruption once `writes` are done."""

    def __init__(self, writes: int) -> None:
        self.values = {SEED_KEY: "old", NEXT_SEED_KEY: "new"}
        self.writes = writes

    def configuration(self) -> dict[str, str]:
        return dict(self.values)

    def secret(self, key: str) -> str:
        return self.values[key]

    def set_secret(self, key: str, value: str) -> None:
        self._write()
        self.values[key] = value

    def unset(self, key: str) -> None:
        self._write()
        del self.values[key]

    def _write(self) -> None:
        if self.writes == 0:
            raise Interrupted
        self.writes -= 1


@pytest.mark.parametrize("writes", range(3))
def test_after_an_interruption_the_seeds_are_what_they_would_have_been(writes):
    settings = Settings(writes)
    with pytest.raises(Interrupted):
        swapped(settings)
    settings.writes = -1  # no more of them
    for _again in range(2):
        assert swapped(settings) == "old"
        assert settings.values == {SEED_KEY: "new", FORMER_SEED_KEY: "old"}
