"""What follows from what: the flow as a graph, from sources to dashboards.

Nodes are texts: `source postgres`, `stream postgres.customers`, `table gold.fct_orders`,
`reflection raw_customers`, `dataset gold.fct_orders` (Superset's view of a table),
`chart customer-analytics/Revenue`, `dashboard customer-analytics`.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flow.derive import bronze_view
from flow.model import DataFlow, Layer

KINDS = (
    "source",
    "stream",
    "table",
    "reflection",
    "dataset",
    "chart",
    "dashboard",
)  # as data moves
Graph = Mapping[str, frozenset[str]]  # node -> the nodes that are made of it


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """edges: node -> what is made of it directly. columns: node -> the columns that it reads of
    a table, where the flow names them."""

    edges: Graph
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def downstream(self, nodes: Iterable[str]) -> list[str]:
        """Everything that is made of `nodes`, without them, in the order of KINDS."""
        start = set(nodes)
        seen, waiting = set(start), deque(sorted(start))
        while waiting:
            for follower in self.edges.get(waiting.popleft(), ()):
                if follower not in seen:
                    seen.add(follower)
                    waiting.append(follower)
        return sorted(seen - start, key=order)

    def merged(self, other: "Lineage") -> "Lineage":
        """Both at once: what is removed still has followers in the old one."""
        nodes = {*self.edges, *other.edges}
        none: frozenset[str] = frozenset()
        return Lineage(
            edges={n: self.edges.get(n, none) | other.edges.get(n, none) for n in nodes},
            columns={**other.columns, **self.columns},
        )


def as_json(lineage: Lineage) -> str:
    edges = {node: sorted(found) for node, found in sorted(lineage.edges.items())}
    columns = {node: sorted(found) for node, found in sorted(lineage.columns.items())}
    return json.dumps({"edges": edges, "columns": columns})


def from_json(text: str) -> Lineage:
    raw = json.loads(text)
    return Lineage(
        edges={node: frozenset(found) for node, found in raw["edges"].items()},
        columns={node: frozenset(found) for node, found in raw["columns"].items()},
    )


def order(node: str) -> tuple[int, int, str]:
    kind, _, name = node.partition(" ")
    layers = [str(layer) for layer in Layer]
    layer = name.partition(".")[0]
    return (
        KINDS.index(kind),
        layers.index(layer) if kind == "table" and layer in layers else 0,
        name,
    )


def of_flow(flow: DataFlow) -> Lineage:
    edges: dict[str, set[str]] = {}
    columns: dict[str, frozenset[str]] = {}

    def follows(node: str, follower: str) -> None:
        edges.setdefault(node, set()).add(follower)
        edges.setdefault(follower, set())

    tables = {name: f"table {layer}.{name}" for name, layer in flow.layers().items()}
    for stream in flow.streams:
        node = f"stream {stream.source}.{stream.name}"
        follows(f"source {stream.source}", node)
        follows(node, "table " + ".".join(bronze_view(stream)))
    for model in flow.models:
        for name in model.inputs:
            follows(tables[name], tables[model.name])
    for reflection in flow.reflections:
        node = f"reflection {reflection.name}"
        follows(f"table {reflection.dataset}", node)
        columns[node] = frozenset(
            reflection.display
            if hasattr(reflection, "display")
            else (*reflection.dimensions, *reflection.measures)
        )
    for board in flow.dashboards:
        for chart in board.charts:
            node = f"chart {board.slug}/{chart.name}"
            follows(f"table {chart.dataset}", node)
            follows(f"dataset {chart.dataset}", node)
            follows(node, f"dashboard {board.slug}")
            columns[node] = frozenset(_chart_columns(chart.metric, chart.dimension, chart.columns))
    return Lineage(
        edges={node: frozenset(found) for node, found in edges.items()}, columns=columns
    )


def _chart_columns(metric: str, dimension: str, listed: Iterable[str]) -> set[str]:
    from review.columns import columns_in

    return {*listed, *([dimension] if dimension else []), *columns_in(metric)}
