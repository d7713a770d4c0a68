"""`python -m bench [NAME]`: every case, or one of them, as a table of ratios."""

import importlib
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.case import Row, Skip

# name -> what its baseline is
CASES = {
    "construct": "pulumi.dynamic.Resource",
    "engine": "pulumi.dynamic.Resource",
    "policies": "the same preview without the policy pack",
    "review": "reading the preview's JSON",
}


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        print(f"{', '.join(unknown)}: unknown, expected {', '.join(CASES)}", file=sys.stderr)
        return 2
    table = Table("case", "what", "ours", "baseline", "ours / baseline", "note")
    for name in names or CASES:
        try:
            rows: list[Row] = importlib.import_module(f"bench.{name}").run()
        except Skip as reason:
            table.add_row(name, "skipped", "", "", "", str(reason))
            continue
        for row in rows:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            ours, baseline = _shown(row.ours), _shown(row.baseline)
            table.add_row(name, row.what, ours, baseline, ratio, row.note)
    baselines = "; ".join(f"{name}: {CASES[name]}" for name in names or CASES)
    table.caption = f"Baseline: {baselines}. Measured in this run, on this machine."
    Console().print(table)
    return 0


def _shown(seconds: float | None) -> str:
    return "failed" if seconds is None else f"{seconds:.2f} s"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main(sys.argv[1:]))
