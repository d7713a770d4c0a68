"""One resource for each entry of resources.json: name -> class and inputs of the handler."""

import importlib
import inspect
import json
import re
from pathlib import Path

import pulumi

from components.completion import completion


def keyword(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda upper: "_" + upper[1].lower(), key)


for name, entry in json.loads(Path("resources.json").read_text()).items():
    resource = getattr(importlib.import_module(entry["module"]), entry["class"])
    known = inspect.signature(resource.__init__).parameters
    given = {keyword(key): value for key, value in entry["inputs"].items()}
    named = {key: value for key, value in given.items() if key in known}
    # What a class takes as one mapping: the refresh settings of a Dremio source.
    rest = {k: v for k, v in entry["inputs"].items() if keyword(k) not in known}
    resource(name, **named, **({"policy": rest} if rest else {}))


async def outputs():
    await completion()
    return {}


pulumi.run(outputs)
