"""Waiting for a condition that the controller of a custom resource tells."""

import pytest

from plugins.kubernetes.readiness import Unready, wait_ready


class Answers:
    """A client whose server tells one state after another, and has no events."""

    deadline_s = 1.0

    def __init__(self, *states: dict) -> None:
        self.states = list(states)

    def polls(self, _deadline_s: float):
        return range(len(self.states) + 1)  # the first look is at what the change answered

    def send(self, _method: str, path: str, **_params: str) -> dict:
        return self.states.pop(0) if path == "/one" else {"items": []}


def search(condition: str, **status: int) -> dict:
    return {
        "apiVersion": "elasticsearch.k8s.elastic.co/v1",
        "kind": "Elasticsearch",
        "metadata": {
            "name": "search",
            "namespace": "storage",
            "uid": "u",
            "generation": 2,
            "annotations": {"pulumi.com/waitFor": "condition=ReconciliationComplete"},
        },
        "status": {
            "conditions": [{"type": "ReconciliationComplete", "status": condition}],
            **status,
        },
    }


def test_what_was_true_before_a_change_is_not_what_is_waited_for():
    before = search("True", observedGeneration=1)
    after = search("True", observedGeneration=2)
    states = (before, search("False", observedGeneration=2), after)
    assert wait_ready(Answers(*states), "/one", before) is after
    with pytest.raises(Unready, match="its controller has not seen the change yet"):
        wait_ready(Answers(before), "/one", before)


def test_a_controller_that_tells_no_generation_is_believed():
    live = search("True")
    assert wait_ready(Answers(live), "/one", live) == live
