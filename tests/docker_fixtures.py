"""A real Docker engine for a test session, and the images that tests start.

Tests ask for `docker_engine`. It has a data folder, sockets and processes of its own, and leaves
none of them behind; nor does it touch the packet filter of this machine.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from plugins.docker.client import DockerClient
from tests.services.running import installed, wait_until
from tools.paths import Paths

SHIM = Path(__file__).with_name("docker_runc.py")
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# What a container is made of goes through SHIM. A program that is started in one, as health probes
# are all the time, only loses the limits that it would be started with: no Python is as quick.
RUNC = """\
#!/bin/sh
for word in "$@"
do
    test "$word" != create || exec {shim} "$@"
    test "$last" != --process || sed -i 's/"rlimits":\\[[^]]*]/"rlimits":[]/' "$word"
    last=$word
done
exec {runc} "$@"
"""
START_S = 60
STOP_S = 120
BUSYBOX = "dataflow-test/busybox:1"
BUSYBOX_TOOLS = ("sh", "cat", "httpd", "id", "ls", "rm", "sleep", "stat", "true", "false", "wget")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """host: for the provider. programs: the folder of its programs. log: what dockerd says.
    lent: a file that says what is lent to containers."""

    host: str
    client: DockerClient
    programs: Path
    log: Path
    lent: Path

    def lend(self, places: Mapping[str, Path]) -> None:
        """Shows files and folders of this machine to the containers started from now on.

        places: path in a container -> what is there, read-only, if its image has such a path."""
        self.lent.write_text(json.dumps({path: str(source) for path, source in places.items()}))

    def import_image(self, name: str, archive: bytes | Iterable[bytes], *changes: str) -> str:
        """As import_image, into this engine."""
        return import_image(self.client, name, archive, *changes)

    def tag(self, image: str, name: str) -> None:
        repository, _, tag = name.rpartition(":")
        self.client.send("POST", "images", image, "tag", repo=repository, tag=tag)

    def add_files(self, image: str, name: str, archive: bytes) -> None:
        """A new image `name`: the files of the tar archive on top of those of `image`."""
        made = self.client.send(
            "POST", *("containers", "create"), body={"Image": image, "Cmd": ["/bin/true"]}
        )
        id_ = made["Id"]
        try:
            self.client.send("PUT", "containers", id_, "archive", content=archive, path="/")
            repository, _, tag = name.rpartition(":")
            self.client.send(
                "POST", "commit", timeout_s=None, container=id_, repo=repository, tag=tag
            )
        finally:
            self.client.send("DELETE", "containers", id_)

    def run_in(self, container: str, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in a container that runs."""
        printed = bytearray()
        code = self.client.execute(container, command, printed.extend)
        return code, printed.decode()

    def busybox(self, name: str = BUSYBOX, marker: str = "1") -> str:
        """As import_busybox, into this engine."""
        return import_busybox(self.client, name, marker)


def import_image(
    client: DockerClient, name: str, archive: bytes | Iterable[bytes], *changes: str
) -> str:
    """Id of the new image `name`, whose files are those of the tar archive."""
    repository, _, tag = name.rpartition(":")
    client.send(
        "POST",
        *("images", "create"),
        content=archive,
        timeout_s=None,
        fromSrc="-",
        repo=repository,
        tag=tag,
        changes=list(changes),
    )
    return str(client.get("images", name, "json")["Id"])


def import_busybox(client: DockerClient, name: str, marker: str = "1") -> str:
    """Id of an image of one program; another marker makes another image."""
    changes = ('CMD ["/bin/sleep","1000"]', "ENV PATH=/bin", "LABEL of=image")
    return import_image(client, name, busybox_files(marker), *changes)


def busybox_files(marker: str = "1") -> bytes:
    """Tar archive of a whole system in 2 MB. marker: content of /marker."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(installed(Paths.find().opt / "docker/images/busybox"), "bin/busybox")
        for tool in BUSYBOX_TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        shared = tarfile.TarInfo("tmp")
        shared.type, shared.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(shared)
        text = f"{marker}\n".encode()
        about = tarfile.TarInfo("marker")
        about.size = len(text)
        archive.addfile(about, io.BytesIO(text))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("a Docker engine needs root: run the tests as root for this one")
    home = installed(Paths.find().opt / "docker")
    forwarding = IP_FORWARD.read_text()
    root = Path(tempfile.mkdtemp(prefix="dataflow-docker-"))
    socket = root / "docker.sock"
    env = {
        "PATH": f"{home / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(home / "lib"),
        "XTABLES_LIBDIR": str(home / "lib/xtables"),
        "HOME": str(root),
    }
    runc, lent = root / "runc", root / "lent.json"
    lent.write_text("{}")
    real = home / "bin/runc"
    runc.write_text(RUNC.format(shim=f"{sys.executable} -IS {SHIM} {lent} {real}", runc=real))
    runc.chmod(0o755)
    command = [
        *("--add-runtime", f"limited={runc}", "--default-runtime", "limited"),
        *("--host", f"unix://{socket}", "--pidfile", root / "docker.pid"),
        *("--data-root", root / "data", "--exec-root", root / "exec"),
        # Containers reach each other, and the host's ports reach them, without either.
        *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"),
    ]
    log = root / "dockerd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [home / "bin/dockerd", *command],
            env=env,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as http:
            _wait(lambda: http.get("http://docker/_ping").is_success, process, log)
        host = f"unix://{socket}"
        client = DockerClient(host)
        yield Engine(host=host, client=client, programs=home / "bin", log=log, lent=lent)
        bridges = _empty(client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)
        # Containerd may lose sight of a shim whose container ended while the machine was busy.
        for pid in _processes(root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        left = _mounts(root)
        shutil.rmtree(root)
    left += [bridge for bridge in bridges if Path("/sys/class/net", bridge).exists()]
    assert left == [], "the engine left something behind"
    assert IP_FORWARD.read_text() == forwarding


def _wait(ready: Callable[[], bool], process: subprocess.Popen, log: Path) -> None:
    def alive() -> None:
        if process.poll() is not None:
            pytest.skip(f"this machine cannot run a Docker engine: {log.read_text()[-2000:]}")

    wait_until(ready, START_S, alive)


def _empty(client: DockerClient) -> list[str]:
    """Names of the bridges on this machine that the engine has had to the end.

    Containers first: networks are bridges of this machine, and stay with an engine's end."""
    for container in client.send("GET", "containers", "json", all="true"):
        client.send("DELETE", "containers", container["Id"], absent=(404,), force="true")
    networks = [n for n in client.send("GET", "networks") if n["Driver"] == "bridge"]
    for network in networks:
        client.send("DELETE", "networks", network["Id"])
    return [f"br-{network['Id'][:12]}" for network in networks]


def _processes(root: Path) -> list[int]:
    """Those with the engine's own folder in their command lines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(root) in entry.read_text():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _mounts(root: Path) -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [line for line in lines if str(root) in line]
