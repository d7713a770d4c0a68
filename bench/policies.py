"""A preview of many resources by the real CLI with the policy pack, against one without it.

Nothing is created: a preview calls no service. Every fourth resource is a process with
configuration files, which most rules read.
"""

import secrets
import tempfile
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
for number in range({count} // 4):
    Space(f"space-{{number}}", name=f"space{{number}}")
    View(f"view-{{number}}", path=["silver", f"v{{number}}"], sql="SELECT 1 AS one")
    Chart(f"chart-{{number}}", name=f"c{{number}}", viz_type="table", params={{"row_limit": 100}},
          dataset_uuid="00000000-0000-0000-0000-000000000000")
    Process(f"process-{{number}}", stack_dir="/tmp/stack", name=f"p{{number}}", files=files,
            command=["postgres"], environment={{"LEVEL": "info"}})
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
        plain, checked = [], []
        for _ in range(RUNS):
            plain.append(seconds(lambda: stack.run("preview")))
            checked.append(seconds(lambda: stack.run("preview", *PACK, *_advisory(Path(folder)))))
        return [Row(what=f"preview, {MANY} resources", ours=min(checked), baseline=min(plain))]


def _advisory(folder: Path) -> tuple[str, str]:
    """Violations are found and shown, but do not stop the preview."""
    file = folder / "policies.json"
    file.write_text('{"all": "advisory"}')
    return "--policy-pack-config", str(file)
