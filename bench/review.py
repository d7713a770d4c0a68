"""Reviews of a preview of MANY resources, against what it costs to read its JSON."""

import json

from bench.case import Row, seconds
from flow.commerce import FLOW
from flow.dbt import project_files
from review.cli import read, written
from review.lineage import of_flow
from review.models import of_files
from review.report import Context, review
from tools.paths import ROOT

MANY = 500
REPEATED = 20  # json.loads of the same text: a unit of work that does not depend on us
PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
CONNECTION = "pulumi-python:dynamic/dataflow/airbyte:Connection"
ROLE = "postgresql:index/role:Role"


def run() -> list[Row]:
    text = preview(MANY)
    project = of_files(project_files(ROOT / "dbt_project"))
    context = Context(lineage=of_flow(FLOW), project=project)

    def ours() -> None:
        written(review(read(text), context), format_="github", title="Review")

    def baseline() -> None:
        for _ in range(REPEATED):
            json.loads(text)

    what = f"review of {MANY} changed resources"
    note = f"baseline: {REPEATED} times json.loads of the preview, {len(text) / 2**20:.1f} MiB"
    return [Row(what=what, ours=seconds(ours), baseline=seconds(baseline), note=note)]


def preview(count: int) -> str:
    """A preview in which `count` resources change, of the kinds that are looked into most."""
    return json.dumps({"steps": [_step(number) for number in range(count)]})


def _step(number: int) -> dict[str, object]:
    kind, old, new, path = (
        (PROCESS, *_processes(number), "environment.LEVEL"),
        (CONNECTION, *_connections(number), "streams[0].cursorField[0]"),
        (ROLE, {"name": f"r{number}"}, {"name": f"r{number}", "login": True}, "login"),
    )[number % 3]
    urn = f"urn:pulumi:bench::dataflow::{kind}::thing-{number}"
    return {
        "op": "update",
        "urn": urn,
        "oldState": {"urn": urn, "type": kind, "inputs": old},
        "newState": {"urn": urn, "type": kind, "inputs": new},
        "detailedDiff": {path: {"kind": "update", "inputDiff": True}},
    }


def _processes(number: int) -> tuple[dict[str, object], dict[str, object]]:
    text = "\n".join(f"setting.{at} = value {at}" for at in range(60))
    common = {"name": f"p{number}", "ports": [9000 + number], "files": {"settings.conf": text}}
    return {**common, "environment": {"LEVEL": "info"}}, {
        **common,
        "environment": {"LEVEL": "debug"},
    }


def _connections(number: int) -> tuple[dict[str, object], dict[str, object]]:
    streams = [
        {"name": f"s{at}", "syncMode": "incremental_append", "cursorField": ["updated_at"]}
        for at in range(20)
    ]
    changed = [{**streams[0], "cursorField": ["id"]}, *streams[1:]]
    common = {"name": f"c{number}"}
    return {**common, "streams": streams}, {**common, "streams": changed}
