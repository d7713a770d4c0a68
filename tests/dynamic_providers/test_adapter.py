"""What the adapter asks of a handler in `check`."""

from types import SimpleNamespace

from dynamic_providers.adapter import HandlerProvider
from dynamic_providers.handler import InputError


def _review(old, new):
    if old["format"] != new["format"] and not new["allowLoss"]:
        raise InputError("format", f"from {old['format']}: rows would be lost")


class Careful(HandlerProvider):
    handler = SimpleNamespace(
        normalize=lambda raw: {"allowLoss": False, **raw}, review=_review, KIND="test/Careful"
    )


class Plain(HandlerProvider):
    handler = SimpleNamespace(normalize=dict, KIND="test/Plain")


OLD = {"format": "a", "allowLoss": False, "__provider": "recorded"}


def test_a_destructive_change_fails_the_check():
    failures = Careful().check(OLD, {"format": "b"}).failures
    assert [(f.property, f.reason) for f in failures] == [("format", "from a: rows would be lost")]


def test_it_passes_when_it_is_asked_for():
    result = Careful().check(OLD, {"format": "b", "allowLoss": True})
    assert (result.failures, result.inputs) == ([], {"format": "b", "allowLoss": True})


def test_new_objects_and_handlers_without_a_review_are_not_reviewed():
    assert Careful().check({}, {"format": "b"}).failures == []
    assert Plain().check(OLD, {"format": "b"}).failures == []
