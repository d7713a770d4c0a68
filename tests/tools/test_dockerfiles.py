"""The images that the project builds hold what the containers of its runtimes need."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services import images
from tools.paths import ROOT

FOLDER = ROOT / "tools/images"


def test_the_platform_has_an_empty_folder_for_each_user():
    text = (FOLDER / "platform.Dockerfile").read_text()
    [users] = re.findall(r"for user in ([\d ]+);", text)
    assert sorted(map(int, users.split())) == sorted({i.user for i in images.load().values()})


def test_every_package_is_installed_by_a_lock_with_hashes():
    for file in FOLDER.glob("*.Dockerfile"):
        text = file.read_text().replace("\\\n", " ")
        installs = re.findall(r"pip install [^;&\n]*", text)
        assert installs
        for install in installs:
            assert "--require-hashes" in install and re.search(r"-r \S+\.lock", install), install


def test_superset_has_every_module_that_it_imports():
    text = (FOLDER / "superset.Dockerfile").read_text()
    copied = [ROOT / source.rstrip("*") for source in re.findall(r"^COPY (\S+) /opt", text, re.M)]
    for module in _imported(ROOT / "services/superset/superset_config.py"):
        assert any(module.is_relative_to(place) for place in copied), module


def _imported(file: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The project's modules that a module imports, and those that these import."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            module = ROOT / f"{name.replace('.', '/')}.py"
            if module.exists() and module not in seen:
                yield module
                yield from _imported(module, seen | {module})
