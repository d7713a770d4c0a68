"""The dbt project as other revisions have it, asked of git."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from flow.dbt import SUFFIXES, digest, project_files
from review.data import DbtChange, dbt_step, deployed_digest
from review.models import Project, compare, of_files
from review.preview import Preview

FOLDER = "dbt_project"
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


def files_at(root: Path, revision: str) -> dict[str, bytes]:
    """The project's files in a revision. Raises RepositoryError."""
    if revision.startswith("-"):
        raise RepositoryError(f"base {revision!r}: expected a revision, not an option")
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", revision, "--", f"{FOLDER}/")
    entries = [entry for entry in listed.decode().split("\0") if entry]
    wanted: dict[str, str] = {}
    for entry in entries:
        about, _, path = entry.partition("\t")
        if path.endswith(SUFFIXES):
            wanted[path.removeprefix(f"{FOLDER}/")] = about.split()[2]
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
