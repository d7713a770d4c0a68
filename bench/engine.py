"""First up, preview and up without changes by the real CLI, over an in-process fake of Dremio.

Both sides make the same spaces with the same handler; the stock side wraps it the usual way,
in a provider class of the program. The stock way cannot construct MANY: ours is measured alone.
"""

import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.case import Row, Skip, seconds
from bench.construct import MANY
from dynamic_providers import credentials
from dynamic_providers.dremio import first_user
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.endpoints import PORTS
from tests.dynamic_providers.engine import Stack, serve_all
from tests.fakes.dremio import Dremio
from tools.paths import Paths

OURS = """
from dynamic_providers.dremio import resources
for number in range({count}):
    resources.Space(f"space-{{number}}", name=f"space{{number}}")
"""
STOCK = """
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider
from dynamic_providers.dremio import space
from dynamic_providers.dremio.client import DremioClient

class Provider(ResourceProvider):
    def __init__(self): self.kind = "space"
    def configure(self, req):
        from dynamic_providers.stack import Stack
        stack = Stack(config=dict(req.config._props))
        self.client = DremioClient(stack.url("dremio"), stack.credential("dremio-admin"))
    def diff(self, id, olds, news): return DiffResult(changes=olds["name"] != news["name"])
    def create(self, props):
        live = space.create(self.client, {{"name": props["name"]}})
        return CreateResult(live.id, {{"name": props["name"]}})

class Space(Resource):
    def __init__(self, name, space): super().__init__(Provider(), name, {{"name": space}})

for number in range({count}):
    Space(f"space-{{number}}", f"space{{number}}")
"""
# A provider in the program itself, as the documentation shows it, is pickled with all that it
# reaches: its resources run out of stack at about 130.
COMPARED = 100
COMMANDS = {
    "first up": ("up", "--yes", "--skip-preview"),
    "preview": ("preview", "--expect-no-changes"),
    "up without changes": ("up", "--yes", "--skip-preview", "--expect-no-changes"),
}


def run() -> list[Row]:
    if not (Paths.find().bin / "pulumi").exists():
        raise Skip("the Pulumi CLI is missing: make bootstrap")
    ours, stock = _measured(OURS, COMPARED), _measured(STOCK, COMPARED)
    many = _measured(OURS, MANY)
    compared = [
        Row(what=f"{name}, {COMPARED} resources", ours=ours[name], baseline=stock[name])
        for name in COMMANDS
    ]
    note = "no baseline: the stock way cannot make them"
    return compared + [
        Row(what=f"{name}, {MANY} resources", ours=many[name], baseline=None, note=note)
        for name in COMMANDS
    ]


def _measured(program: str, count: int) -> dict[str, float]:
    """Command -> seconds."""
    seed, fake = secrets.token_hex(16), Dremio()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "Pulumi.yaml").write_text("name: dataflow\nruntime: python\n")
        (source / "__main__.py").write_text(program.format(count=count))
        offset = serve_all(running, {"dremio": fake.app})
        url = f"http://127.0.0.1:{PORTS['dremio'] + offset}"
        client = DremioClient(url, credentials.derive(seed, "dremio-admin"))
        first_user.create(client, first_user.normalize({}))
        client.close()
        stack = Stack(Path(folder), source)
        stack.init(seed, offset)
        return {
            name: seconds(lambda command=command: stack.run(*command))  # type: ignore[misc]
            for name, command in COMMANDS.items()
        }
