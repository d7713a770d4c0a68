"""`python -m tests.upgrade.record`: deploys a small stack, records its state as that of the
release in pyproject.toml, and takes it down. Once per release, before it is published.
"""

import sys
import tomllib

from tests.support.deployed import small_stack
from tests.upgrade.states import NAME, write
from tools.paths import ROOT


def main() -> int:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with small_stack(NAME) as stack:
        stack.create()
        if stack.pulumi("up", "--yes", "--skip-preview"):
            return 1
        print(write(release, stack))
    return 0


if __name__ == "__main__":
    sys.exit(main())
