"""Resources constructed in one program under mocks: ours against pulumi.dynamic.Resource.

Each measurement has a process of its own: the stock way leaves its damage in the process.
"""

import subprocess
import sys

from bench.case import Row

SURVIVED = 300  # stock resources, whose provider has an attribute, that one process can make
MANY = 2000

PROGRAM = """
import asyncio, sys, time
import pulumi
from dynamic_providers.dremio import resources

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args): return args.name, args.inputs
    def call(self, args): return {}

class StockProvider(pulumi.dynamic.ResourceProvider):
    def __init__(self): self.url = "http://127.0.0.1"

class Stock(pulumi.dynamic.Resource):
    def __init__(self, name): super().__init__(StockProvider(), name, {"name": name})

def ours(name): resources.Space(name, name=name)

asyncio.set_event_loop(asyncio.new_event_loop())
pulumi.runtime.set_mocks(Mocks(), project="bench", stack="bench")
make = {"ours": ours, "stock": Stock}[sys.argv[1]]
start = time.perf_counter()
for number in range(int(sys.argv[2])):
    try:
        make(f"r{number}")
    except RecursionError:
        sys.exit(f"RecursionError at resource {number}")
asyncio.get_event_loop().run_until_complete(pulumi.runtime.stack.wait_for_rpcs())
print(time.perf_counter() - start)
"""


def run() -> list[Row]:
    rows = []
    for count in (SURVIVED, MANY):
        ours, fault = _measured("ours", count)
        stock, stock_fault = _measured("stock", count)
        note = "; ".join(text for text in (fault, stock_fault) if text)
        rows.append(Row(what=f"construct {count} resources", ours=ours, baseline=stock, note=note))
    return rows


def _measured(kind: str, count: int) -> tuple[float | None, str]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM, kind, str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return None, f"{kind}: {done.stderr.strip().splitlines()[-1]}"
    return float(done.stdout), ""
