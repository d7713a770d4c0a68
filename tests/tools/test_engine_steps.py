"""Which route the engine's steps take, with a vendor on localhost and programs on PATH."""

import hashlib
import http.server
import io
import os
import platform
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tools import vendor
from tools.bootstrap import bootstrap, pending
from tools.paths import ROOT, Paths, engine_environment
from tools.step import StepError
from tools.steps import engine

VERSION = engine.cli_version()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=ROOT, home=tmp_path / "home")


@pytest.fixture
def vendor_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served in the vendor's place, at vendor.RELEASES."""
    folder = tmp_path / "vendor"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(vendor, "RELEASES", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        port = server.server_port
    monkeypatch.setattr(vendor, "RELEASES", f"http://127.0.0.1:{port}")  # closed again


def release(vendor_files: Path, *, sha256: str | None = None) -> None:
    """A release of the CLI: an archive of scripts that print the version, and its checksums."""
    system = platform.system().lower()
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    name = f"pulumi-v{VERSION}-{system}-{machine}.tar.gz"
    folder = vendor_files / f"pulumi/pulumi/releases/download/v{VERSION}"
    folder.mkdir(parents=True)
    with tarfile.open(folder / name, "w:gz") as archive:
        for program in (*engine.CLI_FILES, "pulumi-language-go", "pulumi-analyzer-policy-python"):
            script = f"#!/bin/sh\necho v{VERSION}\n".encode()
            entry = tarfile.TarInfo(f"pulumi/{program}")
            entry.size, entry.mode = len(script), 0o755
            archive.addfile(entry, io.BytesIO(script))
    real = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / f"pulumi-{VERSION}-checksums.txt").write_text(
        f"{'0' * 64}  another.tar.gz\n{sha256 or real}  {name}\n"
    )


def step(paths: Paths, name: str):
    (found,) = (step for step in engine.steps(paths) if step.name == name)
    return found


def run(paths: Paths, name: str):
    console = Console(file=io.StringIO(), width=200)
    chosen = step(paths, name)
    bare = [type(chosen)(**{**vars(chosen), "needs": ()})]
    outcome = bootstrap(paths, bare, console)
    return outcome, console.file.getvalue()


def test_a_reachable_vendor_s_cli_is_downloaded_verified_and_said(paths, vendor_files):
    release(vendor_files)
    assert engine.programs(paths, [step(paths, engine.PULUMI)]) == set()  # no Go
    outcome, printed = run(paths, engine.PULUMI)
    assert outcome.done == ("pulumi",), printed
    assert f"downloading Pulumi {VERSION} from {vendor.RELEASES}" in printed
    assert sorted(path.name for path in paths.bin.iterdir()) == sorted(
        [*engine.CLI_FILES, "pulumi-analyzer-policy-python"]
    )
    assert subprocess.check_output([paths.bin / "pulumi"], text=True) == f"v{VERSION}\n"


def test_an_archive_with_another_hash_is_refused(paths, vendor_files):
    release(vendor_files, sha256="1" * 64)
    outcome, _ = run(paths, engine.PULUMI)
    assert "expected " + "1" * 64 in outcome.failures[0].reason
    assert not paths.bin.exists()


def test_a_release_that_is_not_there_is_an_error_that_names_it(tmp_path, vendor_files):
    with pytest.raises(StepError, match="404"):
        vendor.download(f"{vendor.RELEASES}/nothing", tmp_path / "out", sha256="")
    with pytest.raises(StepError, match="404"):
        vendor.published_sha256(f"{vendor.RELEASES}/nothing", "name")


def programs(folder: Path, **printed: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in printed.items():
        (folder / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_a_complete_cli_of_our_version_on_path_is_preferred(
    paths, vendor_files, tmp_path, monkeypatch
):
    found = programs(tmp_path / "elsewhere", **dict.fromkeys(engine.CLI_FILES, f"v{VERSION}"))
    monkeypatch.setenv("PATH", str(found), prepend=os.pathsep)
    outcome, printed = run(paths, engine.PULUMI)
    assert outcome.done == ("pulumi",)
    assert f"taking Pulumi {VERSION} from {found}" in printed


@pytest.mark.parametrize("flaw", ["another version", "no language host"])
def test_a_cli_on_path_that_does_not_fit_is_left(paths, vendor_files, tmp_path, monkeypatch, flaw):
    version = "v3.1.0" if flaw == "another version" else f"v{VERSION}"
    files = engine.CLI_FILES if flaw == "another version" else ("pulumi",)
    found = programs(tmp_path / "elsewhere", **dict.fromkeys(files, version))
    monkeypatch.setenv("PATH", str(found), prepend=os.pathsep)
    release(vendor_files)
    _, printed = run(paths, engine.PULUMI)
    assert "downloading" in printed


@pytest.mark.parametrize(
    ("minio", "mc", "taken"),
    [
        ("RELEASE.2025-10-15T17-29-55Z", "RELEASE.2025-08-13T08-35-41Z", True),
        ("RELEASE.2025-09-07T16-13-09Z", "RELEASE.2025-08-13T08-35-41Z", False),  # the CVE
        ("RELEASE.2025-10-15T17-29-55Z", "GNU Midnight Commander 4.8.29", False),
    ],
)
def test_minio_on_path_is_taken_if_it_has_the_fix(paths, tmp_path, monkeypatch, minio, mc, taken):
    found = programs(tmp_path / "elsewhere", minio=f"minio version {minio}", mc=f"mc version {mc}")
    monkeypatch.setenv("PATH", str(found), prepend=os.pathsep)
    needed = engine.programs(paths, [step(paths, engine.MINIO)])
    assert needed == (set() if taken else {"go"})
    if taken:
        outcome, printed = run(paths, engine.MINIO)
        assert outcome.done == ("minio",)
        assert "taking minio, mc from PATH" in printed


def test_without_the_vendor_our_own_plugins_serve_the_versions_that_the_sdks_ask_for(
    paths, no_vendor, tmp_path
):
    outcome, printed = run(paths, engine.PLUGINS)
    assert outcome.done == ("plugins",)
    assert "taking plugins/" in printed
    folders = {path.name for path in (paths.pulumi_home / "plugins").iterdir()}
    assert {"resource-minio-v0.17.1", "resource-elasticstack-v0.0.11"} < folders
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" in engine_environment(paths)

    # Started in a folder with another package of that name, it is ours that runs.
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/__init__.py").write_text("raise SystemExit('the wrong one')")
    launcher = paths.pulumi_home / "plugins/resource-minio-v0.17.1/pulumi-resource-minio"
    plugin = subprocess.Popen([launcher, "127.0.0.1:1"], cwd=tmp_path, stdout=subprocess.PIPE)
    assert plugin.stdout is not None
    port = plugin.stdout.readline().strip()
    plugin.kill()
    plugin.communicate()
    assert port.isdigit()


def test_official_plugins_are_installed_where_the_vendor_is_reached(paths, vendor_files):
    asked = paths.home / "asked"
    paths.bin.mkdir(parents=True)
    (paths.bin / "pulumi").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    (paths.bin / "pulumi").chmod(0o755)
    console = Console(file=io.StringIO(), width=200)
    chosen = step(paths, engine.PLUGINS)
    # The fake installs nothing: only what was asked for is checked here.
    bare = type(chosen)(**{**vars(chosen), "needs": (), "outputs": ()})
    assert bootstrap(paths, [bare], console).done == ("plugins",)
    lines = asked.read_text().splitlines()
    assert "plugin install resource minio v0.17.1 --reinstall" in lines
    assert any("elasticstack v0.0.11" in line and "--server github://" in line for line in lines)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in engine_environment(paths)


def test_a_second_look_finds_nothing_to_do(paths, vendor_files):
    release(vendor_files)
    run(paths, engine.PULUMI)
    assert engine.PULUMI not in {step.name for step in pending(paths, engine.steps(paths))}


def test_an_unreachable_vendor_is_noticed_in_seconds():
    # A listener that never answers, as a firewall that drops packets.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert not vendor.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 2 * vendor.REACH_S
