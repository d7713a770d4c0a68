"""A stack of a project of its own, which the real engine keeps."""

import shutil
from pathlib import Path

import pytest

from tools.paths import ROOT, Paths
from tools.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    installed = Paths.find()
    if not (installed.bin / "pulumi").exists():
        pytest.skip(f"{installed.bin / 'pulumi'} is missing: install it with `make bootstrap`")
    home, root = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    (home / "bin").symlink_to(installed.bin)
    root.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", root)
    return Stack(name="keyed", paths=Paths(root=root, home=home))
