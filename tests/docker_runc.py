"""Stands before runc, and changes what a container asks for in two ways.

Limits are lowered to those that this machine has: where root may not raise its own, runc would
refuse to start the container. And what the engine of the tests lends (docker_fixtures.Engine.lend)
is mounted read-only wherever the image has an empty place of that name. Called as `runc create`
is, with the list of what is lent and the path of the real runc in front.
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


def lend(described: dict, lent: dict[str, str]) -> None:
    for target, source in lent.items():
        if Path(described["root"]["path"], target.lstrip("/")).exists():
            described["mounts"].append(
                {
                    "destination": target,
                    "type": "bind",
                    "source": source,
                    "options": ["rbind", "ro", "nosuid", "nodev"],
                }
            )


def main() -> None:
    file = Path(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    described = json.loads(file.read_text())
    lower(described["process"])
    lend(described, json.loads(Path(sys.argv[1]).read_text()))
    file.write_text(json.dumps(described))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
