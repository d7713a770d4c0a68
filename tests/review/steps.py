"""Steps of a preview, in the shape in which the engine prints them."""

import json
from typing import Any


def step(
    op: str,
    type_: str,
    name: str = "thing",
    *,
    old: dict | None = None,
    new: dict | None = None,
    diff: dict | None = None,
    **more: Any,
) -> dict:
    urn = f"urn:pulumi:test::dataflow::{type_}::{name}"
    found: dict[str, Any] = {"op": op, "urn": urn, **more}
    if old is not None:
        found["oldState"] = {"urn": urn, "type": type_, "inputs": old}
    if new is not None:
        found["newState"] = {"urn": urn, "type": type_, "inputs": new}
    if diff is not None:
        found["detailedDiff"] = {p: {"kind": k, "inputDiff": True} for p, k in diff.items()}
    return found


def preview_of(*steps: dict, **more: Any) -> str:
    return json.dumps({"steps": list(steps), **more})
