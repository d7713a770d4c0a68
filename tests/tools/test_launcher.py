"""bin/dataflow on a small copy of the project: its lock names one package, made here."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.paths import ROOT

CLI = "import os, sys, tiny\nprint(os.getcwd(), sys.argv[1:], tiny.VERSION)\n"


def wheel(folder: Path, version: str) -> str:
    """The requirement of a package `tiny` of this version, whose wheel lies in `folder`."""
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}\n"
        for name, text in files.items()
    )
    path = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (*files.items(), (f"{info}/RECORD", record)):
            archive.writestr(name, text)
    return f"tiny @ {path.as_uri()} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "bin").mkdir(parents=True)
    (root / "tools/venvs").mkdir(parents=True)
    shutil.copy(ROOT / "bin/dataflow", root / "bin/dataflow")
    (root / "tools/cli.py").write_text(CLI)
    (root / "tools/venvs/dataflow.lock").write_text(wheel(tmp_path, "1.0") + "\n")
    # Where the launcher puts its own, on a machine that has none on PATH.
    (root / ".dataflow/uv/bin").mkdir(parents=True)
    (root / ".dataflow/uv/bin/uv").symlink_to(ROOT / ".venv/bin/uv")
    for folder in (root, *root.parents):
        if folder.owner() == Path(tmp_path).owner() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o001)  # pytest makes its folders private
    return root


def run(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "bin/dataflow", *arguments],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "DATAFLOW_HOME"} | environ,
        timeout=60,
        check=False,
    )


def test_the_first_run_installs_and_the_next_goes_straight_to_the_command(project, tmp_path):
    first = run(project, "up", "a b", "--x")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"{project} ['up', 'a b', '--x'] 1.0\n"
    assert "installing Python packages" in first.stderr

    # Now it needs nothing but the environment that is there.
    (project / ".dataflow/uv/bin/uv").unlink()
    again = run(project, "up")
    assert (again.stdout, again.stderr) == (f"{project} ['up'] 1.0\n", "")


def test_a_changed_lock_is_installed(project, tmp_path):
    assert run(project).returncode == 0
    (project / "tools/venvs/dataflow.lock").write_text(wheel(tmp_path, "2.0") + "\n")
    assert run(project).stdout == f"{project} [] 2.0\n"


def test_a_package_with_another_hash_is_refused_and_the_next_run_tries_again(project, tmp_path):
    lock = project / "tools/venvs/dataflow.lock"
    good = lock.read_text()
    lock.write_text(good[:-9] + "00000000\n")
    refused = run(project)
    assert refused.returncode == 1
    assert "cannot be installed" in refused.stderr
    lock.write_text(good)
    assert run(project).returncode == 0


def test_runs_at_the_same_time_install_once(project):
    command = [project / "bin/dataflow"]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sum("installing Python packages" in err for _, err in ended) == 1


def test_it_can_be_called_through_a_link(project, tmp_path):
    (tmp_path / "df").symlink_to("project/bin/dataflow")
    done = subprocess.run([tmp_path / "df"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{project} ")


def test_without_a_fitting_python_it_says_which_is_needed(project, tmp_path):
    # What the launcher finds: sh's tools, and a python3 that is too new. The candidates in
    # /usr/bin are fixed paths, so they are renamed in the copy.
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cmp", "mkdir"):
        (tools / name).symlink_to(shutil.which(name))
    newer = tools / "python3"
    newer.write_text("#!/bin/sh\nexit 1\n")
    newer.chmod(0o755)
    launcher = project / "bin/dataflow"
    launcher.write_text(launcher.read_text().replace("/usr/bin/python3.", "/nowhere/python3."))
    done = run(project, PATH=str(tools))
    assert done.returncode == 1
    assert "Python 3.11 or 3.12 is needed" in done.stderr


def test_a_relative_home_is_refused(project):
    done = run(project, DATAFLOW_HOME="data")
    assert done.returncode == 1
    assert "DATAFLOW_HOME data: expected an absolute path" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has Pythons that others cannot reach")
def test_a_python_that_only_root_can_reach_is_copied(project, tmp_path):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    # A whole installation is large: a public one's executable behind a closed folder will do for
    # the choice, its prefix being what is copied.
    installation = private / "python"
    (installation / "bin").mkdir(parents=True)
    version = f"python3.{sys.version_info.minor}"
    shutil.copy(Path(sys.executable).resolve(), installation / "bin" / version)
    (installation / "lib").mkdir()
    (installation / "lib" / version).symlink_to(Path(os.__file__).parent)
    launcher = project / "bin/dataflow"
    launcher.write_text(launcher.read_text().replace("/usr/bin/python3.", "/nowhere/python3."))
    paths = [str(installation / "bin"), *os.environ["PATH"].split(os.pathsep)]
    done = run(project, PATH=os.pathsep.join(paths))
    assert done.returncode == 0, done.stderr
    assert f"copying {installation}" in done.stderr
    chosen = Path(project / ".venv/bin/python").resolve()
    assert chosen == project / ".dataflow/opt/python/bin" / version
