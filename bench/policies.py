"""A preview of many resources by the real CLI with the policy pack, against one without it.

Nothing is created: a preview calls no service. As in the platform itself, one in twelve resources
is a process with configuration files, which most rules read.
"""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.case import Row, Skip, seconds
from tests.dynamic_providers.engine import ROOT, Stack
from tools.paths import Paths

MANY = 500
RUNS = 3  # the fastest of them counts: others share the machine
PROGRAM = """
from dynamic_providers.dremio.resources import Space, View
from dynamic_providers.local.resources import Process
from dynamic_providers.superset.resources import Chart
from services.postgresql import config
from pathlib import Path

files = config.files(port=5432, config_dir=Path("/tmp/config"))
for number in range({count}):
    if number % 12 == 0:
        Process(f"process-{{number}}", stack_dir="/tmp/stack", name=f"p{{number}}", files=files,
                command=["postgres"], environment={{"LEVEL": "info"}})
    elif number % 3 == 0:
        Space(f"space-{{number}}", name=f"space{{number}}")
    elif number % 3 == 1:
        View(f"view-{{number}}", path=["silver", f"v{{number}}"], sql="SELECT 1 AS one")
    else:
        Chart(f"chart-{{number}}", name=f"c{{number}}", viz_type="table",
              dataset_uuid="00000000-0000-0000-0000-000000000000")
"""
PACK = ("--policy-pack", str(ROOT / "policies"))


def run() -> list[Row]:
    if not (Paths.find().bin / "pulumi").exists():
        raise Skip("the Pulumi CLI is missing: make bootstrap")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "Pulumi.yaml").write_text("name: dataflow\nruntime: python\n")
        (source / "__main__.py").write_text(PROGRAM.format(count=MANY))
        stack = Stack(Path(folder), source)
        stack.init(secrets.token_hex(16), 0)
        advisory = _advisory(Path(folder))
        plain, checked = [], []
        for _ in range(RUNS):
            plain.append(_measured(lambda: stack.run("preview")))
            checked.append(_measured(lambda: stack.run("preview", *PACK, *advisory)))
    return [
        Row(what=f"preview, {MANY} resources, {name}", ours=min(ours), baseline=min(baseline))
        for name, ours, baseline in zip(
            ("wall", "processor"),
            zip(*checked, strict=True),
            zip(*plain, strict=True),
            strict=True,
        )
    ]


def _measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of all processors: those of the engine, the program, the
    provider and the pack, whatever else the machine does meanwhile."""
    before = os.times()
    wall = seconds(work)
    after = os.times()
    user = after.children_user - before.children_user
    return wall, user + after.children_system - before.children_system


def _advisory(folder: Path) -> tuple[str, str]:
    """Violations are found and shown, but do not stop the preview."""
    file = folder / "policies.json"
    file.write_text('{"all": "advisory"}')
    return "--policy-pack-config", str(file)
