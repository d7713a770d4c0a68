"""What a preview changes in resources asked for, and what that costs under stated prices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from review.preview import Preview, Step

# Assumed prices in USD a month: round figures of the size that large clouds ask for general
# purpose machines and network disks. They rank changes; they are no offer.
CORE_USD = 25.0
MEMORY_GIB_USD = 3.5
DISK_GIB_USD = 0.10
GIB = 2**30
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGTP", 1)}
_QUANTITY = re.compile(r"(?P<number>[0-9.]+(?:[eE][0-9]+)?)(?P<unit>m|[kMGTP]|[KMGTP]i)?\Z")
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What runs all the time. unstated: containers or processes that state no limit."""

    processes: int = 0
    cores: float = 0.0
    memory_bytes: float = 0.0
    disk_bytes: float = 0.0
    unstated: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(**{k: v + other.__dict__[k] for k, v in self.__dict__.items()})

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(**{k: v - other.__dict__[k] for k, v in self.__dict__.items()})

    def __mul__(self, times: float) -> "Amount":
        return Amount(
            processes=round(self.processes * times),
            cores=self.cores * times,
            memory_bytes=self.memory_bytes * times,
            disk_bytes=self.disk_bytes * times,
            unstated=round(self.unstated * times),
        )

    @property
    def usd_a_month(self) -> float:
        return (
            self.cores * CORE_USD
            + self.memory_bytes / GIB * MEMORY_GIB_USD
            + self.disk_bytes / GIB * DISK_GIB_USD
        )

    @property
    def priced(self) -> bool:
        """Whether it is more than processes of this machine."""
        return bool(self.cores or self.memory_bytes or self.disk_bytes or self.unstated)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A service whose resources change."""

    what: str
    old: Amount
    new: Amount

    @property
    def difference(self) -> Amount:
        return self.new - self.old


def costs(preview: Preview) -> list[Cost]:
    found = []
    for step in preview.steps:
        old = amount_of(step.kind, step.old) if step.op != "create" else Amount()
        new = amount_of(step.kind, step.new) if step.op != "delete" else Amount()
        if old != new:
            found.append(Cost(what=_label(step), old=old, new=new))
    return found


def _label(step: Step) -> str:
    metadata = step.inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{step.kind.partition(':')[2]} {name or step.inputs.get('name') or step.name}"


def amount_of(kind: str, inputs: Mapping[str, Any]) -> Amount:
    """What one resource asks for."""
    if not inputs:
        return Amount()
    area, _, name = kind.partition(":")
    if kind == "local:Process":
        return Amount(processes=1)
    if kind == "docker:Container":
        return _container(inputs)
    if area == "kubernetes":
        return _kubernetes(name, inputs.get("spec") or {})
    return Amount()


def _container(inputs: Mapping[str, Any]) -> Amount:
    memory, cores = inputs.get("memory"), quantity(inputs.get("cpus"))
    shares = inputs.get("cpuShares")
    if cores is None and isinstance(shares, int | float):
        cores = shares / 1024  # Docker's weight of one core
    return Amount(
        processes=1,
        cores=cores or 0.0,
        memory_bytes=memory * 2**20 if isinstance(memory, int | float) else 0.0,  # in MiB
        unstated=int(cores is None or not memory),
    )


def _kubernetes(kind: str, spec: Mapping[str, Any]) -> Amount:
    if kind in _WORKLOADS:
        replicas = _whole(spec.get("replicas"), 1)
        one = _pod((spec.get("template") or {}).get("spec") or {})
        return (one + _claims(spec.get("volumeClaimTemplates"))) * replicas
    if kind == "PersistentVolumeClaim":
        return _claim(spec)
    if kind == "Cluster":  # CloudNativePG
        storage = quantity((spec.get("storage") or {}).get("size")) or 0.0
        wal = quantity((spec.get("walStorage") or {}).get("size")) or 0.0
        one = _requests(spec.get("resources")) + Amount(disk_bytes=storage + wal)
        return one * _whole(spec.get("instances"), 1)
    if kind == "Elasticsearch":  # ECK
        sets = [s for s in spec.get("nodeSets") or [] if isinstance(s, Mapping)]
        return sum((_node_set(nodes) for nodes in sets), Amount())
    return Amount()


def _node_set(nodes: Mapping[str, Any]) -> Amount:
    pod = _pod((nodes.get("podTemplate") or {}).get("spec") or {})
    return (pod + _claims(nodes.get("volumeClaimTemplates"))) * _whole(nodes.get("count"), 1)


def _pod(spec: Mapping[str, Any]) -> Amount:
    containers = [c for c in spec.get("containers") or [] if isinstance(c, Mapping)]
    return sum((_requests(c.get("resources")) for c in containers), Amount())


def _requests(resources: Any) -> Amount:
    wanted = {}
    if isinstance(resources, Mapping):
        wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    cores, memory = quantity(wanted.get("cpu")), quantity(wanted.get("memory"))
    return Amount(
        processes=1,
        cores=cores or 0.0,
        memory_bytes=memory or 0.0,
        unstated=int(cores is None or memory is None),
    )


def _claims(templates: Any) -> Amount:
    listed = [t for t in templates or [] if isinstance(t, Mapping)]
    return sum((_claim(t.get("spec") or {}) for t in listed), Amount())


def _claim(spec: Mapping[str, Any]) -> Amount:
    requests = (spec.get("resources") or {}).get("requests") or {}
    return Amount(disk_bytes=quantity(requests.get("storage")) or 0.0)


def _whole(value: Any, default: int) -> int:
    return int(value) if isinstance(value, int | float) else default


def quantity(value: Any) -> float | None:
    """A Kubernetes quantity, `500m` or `2Gi`, in cores or bytes; None for none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _QUANTITY.match(str(value or ""))
    if not found:
        return None
    unit = found["unit"] or ""
    return float(found["number"]) * (0.001 if unit == "m" else _UNITS[unit])


def total(found: list[Cost]) -> Amount:
    return sum((cost.difference for cost in found), Amount())
