"""`python -m tests.upgrade.record`: deploys a small stack, records its state as that of the
release in pyproject.toml, and takes it down. Once per release, before it is published.
"""

import sys
import tomllib

from tests.support.deployed import ORDERS, free_offset
from tests.upgrade.states import NAME, write
from tools.paths import ROOT, Paths
from tools.stack import Stack


def main() -> int:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    stack = Stack(name=NAME, paths=Paths.find())
    try:
        stack.create()
        stack.answer("config", "set", "portOffset", str(free_offset()))
        stack.answer("config", "set", "shopOrders", str(ORDERS))
        if stack.pulumi("up", "--yes", "--skip-preview"):
            return 1
        print(write(release, stack))
    finally:
        if stack.exists:
            stack.pulumi("destroy", "--yes", "--skip-preview")
            stack.answer("stack", "rm", "--yes", "--force")
        stack.config_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
