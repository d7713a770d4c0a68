"""Stands before runc: lowers the limits that a container asks for to those that this machine has.

Where root may not raise its own limits, runc would refuse to start the container. Called as runc
is, with the path of the real one in front.
"""

import json
import os
import resource
import sys
from pathlib import Path

NUMBERS = {"RLIMIT_NOFILE": resource.RLIMIT_NOFILE, "RLIMIT_NPROC": resource.RLIMIT_NPROC}


def lower(process: dict) -> None:
    for limit in process.get("rlimits") or []:
        number = NUMBERS.get(limit["type"])
        hard = resource.getrlimit(number)[1] if number is not None else resource.RLIM_INFINITY
        if hard != resource.RLIM_INFINITY:
            limit["hard"] = min(limit["hard"], hard)
            limit["soft"] = min(limit["soft"], limit["hard"])


def after(option: str) -> str:
    return sys.argv[sys.argv.index(option) + 1]


def main() -> None:
    if "create" in sys.argv:
        file = Path(after("--bundle"), "config.json")
        described = json.loads(file.read_text())
        lower(described["process"])
        file.write_text(json.dumps(described))
    elif "exec" in sys.argv:
        file = Path(after("--process"))
        process = json.loads(file.read_text())
        lower(process)
        file.write_text(json.dumps(process))
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
