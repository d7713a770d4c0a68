"""Makes a golden input of a preview that the real CLI printed: `python -m tests.review.record`.

    bin/dataflow review --keep /tmp/preview.json
    python -m tests.review.record /tmp/preview.json > tests/review/golden/NAME.preview.json

Leaves out what differs from run to run or tells of the machine, and what a review does not read.
"""

import json
import re
import sys
from pathlib import Path

from tools.paths import ROOT

KEPT = ("op", "urn", "oldState", "newState", "detailedDiff", "diffReasons", "replaceReasons")
STATE = ("urn", "type", "custom", "inputs", "outputs", "protect", "retainOnDelete")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def recorded(text: str) -> str:
    raw = json.loads(text)
    kept = {
        "steps": [_step(step) for step in raw["steps"] if step["op"] not in ("same", "read")],
        "changeSummary": raw.get("changeSummary", {}),
        "diagnostics": raw.get("diagnostics", []),
        "policyEvents": raw.get("policyEvents", []),
    }
    clear = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
    clear = clear.replace(str(ROOT), "/srv/dataflow").replace(str(Path.home()), "/home/user")
    ids = dict.fromkeys(found[0] for found in _UUID.finditer(clear))
    number = {real: f"00000000-0000-4000-8000-{at:012d}" for at, real in enumerate(ids)}
    number[UNKNOWN] = UNKNOWN
    return _UUID.sub(lambda found: number[found[0]], clear) + "\n"


def _step(step: dict) -> dict:
    found = {key: step[key] for key in KEPT if step.get(key)}
    for side in ("oldState", "newState"):
        if side in found:
            state = {key: found[side][key] for key in STATE if found[side].get(key)}
            for values in ("inputs", "outputs"):
                state.get(values, {}).pop("__provider", None)
            if step["op"] != "update" or not _compares_outputs(step):
                state.pop("outputs", None)
            found[side] = state
    return found


def _compares_outputs(step: dict) -> bool:
    return any(not what.get("inputDiff") for what in (step.get("detailedDiff") or {}).values())


if __name__ == "__main__":
    print(recorded(Path(sys.argv[1]).read_text()), end="")
