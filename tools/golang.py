"""Builds of programs from the committed Go modules below tools/."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tools import preflight
from tools.step import Log, StepError

BUILD_TIMEOUT_S = 3600.0
HINT = "check that the Go module proxy can be reached (go env GOPROXY), then try again"


def build(
    source: Path, target: Path, packages: Sequence[str], log: Log, *, ldflags: str, tags: str = ""
) -> None:
    """Executables of `packages` of the module in `source`, in the folder `target`."""
    command = ["build", "-trimpath", "-tags", tags, "-ldflags", ldflags]
    run([*command, "-o", f"{target}{os.sep}", *packages], source, log)


def run(arguments: Sequence[str], source: Path, log: Log) -> str:
    go = preflight.find_go()
    if go is None:
        raise StepError("go is missing", preflight.PROGRAMS["go"].next_step)
    environment = {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",  # never a download of another compiler
        "GOFLAGS": "-mod=readonly -buildvcs=false",  # go.sum decides, not the time of the build
        "GOWORK": "off",
        # Not in the checksum database's mirror. go.sum pins them all the same.
        "GONOSUMDB": "github.com/minio/minio,github.com/minio/mc",
    }
    return log.run([go, *arguments], cwd=source, env=environment, timeout_s=BUILD_TIMEOUT_S)


def pinned(source: Path, module: str) -> str:
    """The version of `module` in the go.mod of `source`, for example `v1.2.3`."""
    match = re.search(rf"{re.escape(module)} (v\S+)", (source / "go.mod").read_text())
    return match[1] if match else "no version"
