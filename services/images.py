"""Images of programs, from images.yaml and the stack's configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

FILE = Path(__file__).with_name("images.yaml")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PROBES = ("bash", "curl", "python", "wget")


class ImageError(ValueError):
    """An image that cannot be used. The text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """digest: empty when it has not been looked up."""

    program: str
    repository: str
    version: str
    digest: str
    home: PurePosixPath
    user: int
    probe: str

    def __post_init__(self) -> None:
        place = f"{FILE.name}: {self.program}"
        if self.digest and not DIGEST.fullmatch(self.digest):
            raise ImageError(f"{place}: digest {self.digest!r}: expected sha256:<64 hex digits>")
        if self.user < 1:
            raise ImageError(f"{place}: user {self.user!r}: expected a number above 0")
        if self.probe not in PROBES:
            raise ImageError(f"{place}: probe {self.probe!r}: expected one of {', '.join(PROBES)}")

    @property
    def reference(self) -> str:
        """Raises ImageError without a digest: what a tag names can change behind our back."""
        if not self.digest:
            raise ImageError(
                f"{FILE.name}: {self.program}: no digest: run `bin/dataflow images update` once, "
                f"or set images:{self.program} to a reference of your own; dataflow/ is "
                "built from tools/images"
            )
        return f"{self.repository}:{self.version}@{self.digest}"


def load(file: Path = FILE) -> dict[str, Image]:
    """dict program -> its image. Raises ImageError."""
    return {
        program: Image(program=program, **{**entry, "home": PurePosixPath(entry["home"])})
        for program, entry in yaml.safe_load(file.read_text()).items()
    }


@dataclass(frozen=True, kw_only=True)
class Images:
    """known: what images.yaml says. chosen: program -> reference of the configuration."""

    known: Mapping[str, Image]
    chosen: Mapping[str, str]

    def __post_init__(self) -> None:
        for program in self.chosen:
            self.of(program)

    def of(self, program: str) -> Image:
        if program not in self.known:
            raise ImageError(f"image {program!r}: expected one of {', '.join(self.known)}")
        return self.known[program]

    def reference(self, program: str) -> str:
        """What to run: the configuration's word, or the pinned image. Raises ImageError."""
        return self.chosen.get(program) or self.of(program).reference

    def unpinned(self) -> list[str]:
        """Programs that have neither a digest nor a reference of the configuration."""
        return [p for p, image in self.known.items() if not image.digest and p not in self.chosen]
