"""The dbt project as other revisions have it, asked of git."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flow.dbt import SUFFIXES, digest, project_files
from review.data import DbtChange, dbt_step, deployed_digest
from review.lineage import Lineage, from_json
from review.models import Project, compare, of_files
from review.preview import Preview

FOLDER = "dbt_project"
FLOW = "flow"
SEARCHED = 50  # revisions of the project that are looked through for the deployed one


class RepositoryError(Exception):
    """A revision that cannot be read; names it."""


def current(root: Path) -> Project:
    """The project in the working tree."""
    return of_files(project_files(root / FOLDER))


def dbt_change(preview: Preview, root: Path, project: Project, base: str) -> DbtChange | None:
    """How the project differs from the deployed one; None when the preview shows no such change.

    base: revision to compare with; "" looks for the one whose files have the deployed digest.
    Raises RepositoryError for a base that cannot be read.
    """
    step = dbt_step(preview.steps)
    if step is None:
        return None
    deployed = deployed_digest(step)
    files = files_at(root, base) if base else None
    if files is not None and digest(files) == deployed:
        return _difference(files, base, project, exact=True)
    for revision in _revisions(root):
        candidate = files_at(root, revision)
        if digest(candidate) == deployed:
            return _difference(candidate, revision[:12], project, exact=True)
    return DbtChange() if files is None else _difference(files, base, project, exact=False)


def _difference(files: dict[str, bytes], base: str, project: Project, *, exact: bool) -> DbtChange:
    old = of_files(files)
    paths = {*old.other, *project.other}
    return DbtChange(
        base=base,
        exact=exact,
        models=tuple(compare(old, project)),
        other=tuple(sorted(p for p in paths if old.other.get(p) != project.other.get(p))),
    )


def files_at(
    root: Path, revision: str, folder: str = FOLDER, suffixes: tuple[str, ...] = SUFFIXES
) -> dict[str, bytes]:
    """The files below a folder in a revision. Raises RepositoryError."""
    if revision.startswith("-"):
        raise RepositoryError(f"base {revision!r}: expected a revision, not an option")
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", revision, "--", f"{folder}/")
    entries = [entry for entry in listed.decode().split("\0") if entry]
    wanted: dict[str, str] = {}
    for entry in entries:
        about, _, path = entry.partition("\t")
        if path.endswith(suffixes):
            wanted[path.removeprefix(f"{folder}/")] = about.split()[2]
    blobs = _git(root, "cat-file", "--batch", stdin="".join(f"{b}\n" for b in wanted.values()))
    return dict(zip(wanted, _contents(blobs), strict=True))


def _contents(batch: bytes) -> Iterator[bytes]:
    """The objects in the output of `git cat-file --batch`: a line with the size, the content."""
    at = 0
    while at < len(batch):
        end = batch.index(b"\n", at)
        size = int(batch[at:end].split()[2])
        yield batch[end + 1 : end + 1 + size]
        at = end + 1 + size + 1


def lineage_at(root: Path, revision: str, flow: str) -> Lineage | None:
    """The lineage of the flow (module:attribute) as a revision has it; None when that revision
    has none that can be read. Its code runs in a process of its own."""
    module, _, attribute = flow.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = files_at(root, revision, FLOW, (".py",))
        except RepositoryError:
            return None
        if not files:  # the checkout's own would be taken for it
            return None
        for path, content in files.items():
            file = Path(folder, FLOW, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _SHOW_LINEAGE, folder, str(root), module, attribute],
            capture_output=True,
            text=True,
            check=False,
        )
    return from_json(done.stdout) if done.returncode == 0 else None


# Finds `flow` in the revision's folder, and everything else in the checkout.
_SHOW_LINEAGE = """
import importlib, sys
sys.path[:0] = sys.argv[1:3]
from review.lineage import as_json, of_flow
print(as_json(of_flow(getattr(importlib.import_module(sys.argv[3]), sys.argv[4]))))
"""


def _revisions(root: Path) -> list[str]:
    try:
        listed = _git(root, "log", "--format=%H", f"-n{SEARCHED}", "--", FOLDER)
    except RepositoryError:
        return []  # no git, or a checkout without history: nothing to compare with
    return listed.decode().split()


def _git(root: Path, *arguments: str, stdin: str = "") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=root,
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
    except OSError as fault:
        raise RepositoryError(f"git: {fault.strerror}") from None
    if done.returncode:
        raise RepositoryError(
            f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout
