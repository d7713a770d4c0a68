"""How large each service of a stack is: one profile per column of the specification's benchmarks.

docs/sizing.md derives the numbers; a test keeps both the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 1024  # MiB


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of one replica: memory in MiB, disk in GiB (0: nothing to keep)."""

    cores: float
    memory_mib: int
    disk_gib: int = 0
    replicas: int = 1

    def __post_init__(self) -> None:
        if self.cores <= 0 or self.memory_mib < 1 or self.disk_gib < 0 or self.replicas < 1:
            raise ValueError(f"{self}: expected cores, memory and replicas above 0")


# Rows of the specification's small, medium and large datasets: 1 M, 100 M, 1 B. Processes and
# containers of one machine use cores and memory of their profile, and one replica of each.
PROFILES: Mapping[str, Mapping[str, Size]] = {
    "small": {
        "minio": Size(cores=1, memory_mib=2 * GIB, disk_gib=20, replicas=4),
        "postgres": Size(cores=1, memory_mib=1 * GIB, disk_gib=20, replicas=2),
        "elasticsearch": Size(cores=1, memory_mib=2 * GIB, disk_gib=20, replicas=3),
        "airbyte": Size(cores=1, memory_mib=2 * GIB, replicas=2),
        "airbyte-worker": Size(cores=0.5, memory_mib=1 * GIB),
        "airbyte-workload-launcher": Size(cores=0.5, memory_mib=1 * GIB),
        "airbyte-workload-api": Size(cores=0.25, memory_mib=1 * GIB, replicas=2),
        "airbyte-cron": Size(cores=0.25, memory_mib=1 * GIB),
        "airbyte-temporal": Size(cores=0.5, memory_mib=1 * GIB),
        "airbyte-connector": Size(cores=1.5, memory_mib=6 * GIB, replicas=2),
        "dremio": Size(cores=2, memory_mib=8 * GIB, disk_gib=20),
        "dremio-executor": Size(cores=2, memory_mib=8 * GIB, disk_gib=50, replicas=2),
        "superset": Size(cores=1, memory_mib=2 * GIB, replicas=2),
        "pipeline": Size(cores=0.5, memory_mib=1 * GIB, disk_gib=5),
        "prometheus": Size(cores=0.5, memory_mib=2 * GIB, disk_gib=20, replicas=2),
    },
    "medium": {
        "minio": Size(cores=2, memory_mib=8 * GIB, disk_gib=100, replicas=4),
        "postgres": Size(cores=2, memory_mib=4 * GIB, disk_gib=50, replicas=3),
        "elasticsearch": Size(cores=2, memory_mib=4 * GIB, disk_gib=50, replicas=3),
        "airbyte": Size(cores=2, memory_mib=4 * GIB, replicas=2),
        "airbyte-worker": Size(cores=0.5, memory_mib=1 * GIB, replicas=2),
        "airbyte-workload-launcher": Size(cores=0.5, memory_mib=1 * GIB),
        "airbyte-workload-api": Size(cores=0.5, memory_mib=1 * GIB, replicas=2),
        "airbyte-cron": Size(cores=0.25, memory_mib=1 * GIB),
        "airbyte-temporal": Size(cores=1, memory_mib=2 * GIB),
        "airbyte-connector": Size(cores=3, memory_mib=6 * GIB, replicas=4),
        "dremio": Size(cores=4, memory_mib=16 * GIB, disk_gib=50),
        "dremio-executor": Size(cores=8, memory_mib=32 * GIB, disk_gib=200, replicas=3),
        "superset": Size(cores=2, memory_mib=4 * GIB, replicas=3),
        "pipeline": Size(cores=1, memory_mib=2 * GIB, disk_gib=10),
        "prometheus": Size(cores=1, memory_mib=4 * GIB, disk_gib=50, replicas=2),
    },
    "large": {
        "minio": Size(cores=4, memory_mib=16 * GIB, disk_gib=500, replicas=8),
        "postgres": Size(cores=4, memory_mib=16 * GIB, disk_gib=100, replicas=3),
        "elasticsearch": Size(cores=4, memory_mib=8 * GIB, disk_gib=200, replicas=3),
        "airbyte": Size(cores=4, memory_mib=8 * GIB, replicas=2),
        "airbyte-worker": Size(cores=1, memory_mib=2 * GIB, replicas=2),
        "airbyte-workload-launcher": Size(cores=1, memory_mib=2 * GIB),
        "airbyte-workload-api": Size(cores=1, memory_mib=2 * GIB, replicas=2),
        "airbyte-cron": Size(cores=0.25, memory_mib=1 * GIB),
        "airbyte-temporal": Size(cores=2, memory_mib=4 * GIB),
        "airbyte-connector": Size(cores=3, memory_mib=6 * GIB, replicas=8),
        "dremio": Size(cores=8, memory_mib=32 * GIB, disk_gib=100),
        "dremio-executor": Size(cores=16, memory_mib=64 * GIB, disk_gib=500, replicas=6),
        "superset": Size(cores=2, memory_mib=8 * GIB, replicas=4),
        "pipeline": Size(cores=2, memory_mib=4 * GIB, disk_gib=20),
        "prometheus": Size(cores=2, memory_mib=8 * GIB, disk_gib=100, replicas=2),
    },
}
# Everything else: jobs, and what stands beside a product.
SMALLEST = Size(cores=0.5, memory_mib=1 * GIB)


def markdown(profile: str) -> str:
    """The table of a profile, with the sum over all replicas."""
    sizes = PROFILES[profile]
    rows = [
        (name, str(size.replicas), size.cores, size.memory_mib / GIB, size.disk_gib)
        for name, size in sizes.items()
    ]
    total = (
        "**sum**",
        "",
        sum(size.cores * size.replicas for size in sizes.values()),
        sum(size.memory_mib * size.replicas for size in sizes.values()) / GIB,
        sum(size.disk_gib * size.replicas for size in sizes.values()),
    )
    head = (
        "| service | replicas | cores | memory, GiB | disk, GiB |\n| --- | --- | --- | --- | --- |"
    )
    lines = [
        f"| {name} | {replicas} | {cores:g} | {memory:g} | {disk} |"
        for name, replicas, cores, memory, disk in [*rows, total]
    ]
    return "\n".join([head, *lines])
