"""A Kubernetes API for the tests of production: the real control plane, and kwok for its nodes.

Installed by `make test` only. Nothing of it starts a container: kwok answers for the kubelets.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tools import golang
from tools.paths import Paths
from tools.step import Log, Step, digest

STAMP = "k8s.io/component-base/version"
RELEASE = "k8s.io/kubernetes"


@dataclass(frozen=True, kw_only=True)
class _Build:
    """Programs of one Go module below tools/kubernetes.

    packages: name of the program -> its package.
    stamped: with the release, as Kubernetes programs want it. Without it the API server takes
        itself for version 0.0, which clients refuse.
    """

    name: str
    packages: dict[str, str]
    doing: str
    stamped: bool = False


BUILDS = (
    _Build(
        name="control-plane",
        packages={
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        },
        doing="building the Kubernetes control plane for tests, 8 minutes the first time",
        stamped=True,
    ),
    _Build(
        name="kwok",
        packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        doing="building kwok for tests, 2 minutes the first time",
    ),
    _Build(
        name="etcd",
        packages={"etcd": "go.etcd.io/etcd/server/v3"},
        doing="building etcd for tests, half a minute the first time",
    ),
)


def steps(paths: Paths) -> list[Step]:
    return [_step(paths, build) for build in BUILDS]


def _step(paths: Paths, build: _Build) -> Step:
    source = paths.root / "tools/kubernetes" / build.name
    folder = paths.opt / "kubernetes"

    def run(log: Log) -> None:
        log.say(f"building {', '.join(build.packages)} from Go modules")
        with log.scratch() as draft:
            ldflags = _stamp(source) if build.stamped else "-s -w"
            golang.build(source, draft, list(build.packages.values()), log, ldflags=ldflags)
            for name, package in build.packages.items():
                log.publish(draft / _built_as(package), folder / name)

    return Step(
        name=f"kubernetes-{build.name}",
        key=digest(source),
        run=run,
        outputs=tuple(folder / name for name in build.packages),
        programs=("go",),
        heavy=True,
        doing=build.doing,
        hint=golang.HINT,
    )


def _stamp(source: Path) -> str:
    version = golang.pinned(source, RELEASE)
    major, minor = version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {STAMP}.{name}={value}" for name, value in stamps.items())])


def _built_as(package: str) -> str:
    """The name that `go build` gives: the last folder that is no major version."""
    *_, before, last = package.split("/")
    return before if re.fullmatch(r"v\d+", last) else last
