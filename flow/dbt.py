"""The dbt project as files: which of them make the models, and their digest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

SUFFIXES = (".sql", ".yml", ".yaml", ".csv")


def project_files(project: Path) -> dict[str, bytes]:
    """dict path below `project` -> content."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.suffix in SUFFIXES
    }


def digest(files: Mapping[str, bytes]) -> str:
    """Of the project's files: a changed model is a changed build in the preview."""
    found = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.split("/")):  # folder by folder, as on disk
        found.update(f"{path}\0".encode())
        found.update(files[path])
    return found.hexdigest()[:16]
