from adoption.source_text import source_text
from flow.commerce import FLOW
from flow.model import DataFlow


def test_the_text_of_a_flow_makes_the_same_flow(tmp_path):
    text = source_text(FLOW, "A flow.")
    space: dict = {}
    exec(text, space)
    assert space["FLOW"] == FLOW
    assert max(map(len, text.splitlines())) <= 99


def test_an_empty_flow_can_be_written():
    space: dict = {}
    exec(source_text(DataFlow(name="none", sources=(), streams=()), "None."), space)
    assert space["FLOW"].name == "none"
