"""The data of a service in a volume of a real Docker engine: out of one that is written to, and
into one whose service has never started."""

import io
import tarfile

import pytest
import yaml

from tests.docker_fixtures import Engine
from tests.services.running import wait_until
from tests.support.states import record
from tools.data import CONTAINER, Volume
from tools.stack import StackError

pytestmark = [pytest.mark.engine, pytest.mark.service]

USER = 70
PLACE, EMPTY = "/dataflow/shelf/data", f"/dataflow/empty/{USER}"
# One line in the first file, one in the second, and again.
WRITING = """
while true; do echo line >> one; echo line >> two; done
"""


@pytest.fixture
def image(docker_engine: Engine) -> str:
    """With empty folders for the data."""
    buffer, name = io.BytesIO(), "dataflow-test/folders:1"
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (PLACE, f"{PLACE}/deep", f"{EMPTY}/data"):
            folder = tarfile.TarInfo(path.lstrip("/"))
            folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, USER, USER
            archive.addfile(folder)
    docker_engine.add_files(docker_engine.busybox(), name, buffer.getvalue())
    return name


@pytest.fixture
def made(docker_engine: Engine, image: str):
    """Makes a container over a volume; takes it away."""
    names = []

    def make(name: str, mount: str, *command: str) -> None:
        volume = {"Type": "volume", "Source": name.removesuffix("-files"), "Target": mount}
        body = {
            "Image": image,
            "Cmd": list(command),
            "User": f"{USER}:{USER}",
            "WorkingDir": PLACE,
            "HostConfig": {"Mounts": [volume], "NetworkMode": "none"},
        }
        names.append(name)
        docker_engine.client.send("POST", *("containers", "create"), body=body, name=name)

    yield make
    for name in names:
        docker_engine.client.send("DELETE", "containers", name, force="true")
        docker_engine.client.send("DELETE", "volumes", name.removesuffix("-files"))


def data(stack, engine: Engine, service: str) -> Volume:
    return Volume(stack=stack, service=service, connect=lambda: engine.client)


def contained(archive: tarfile.TarFile) -> dict[str, tuple[int, int, bytes]]:
    """dict path of a file -> owner, mode, content."""
    return {
        member.name: (member.uid, member.mode & 0o777, archive.extractfile(member).read())
        for member in archive
        if member.isreg()
    }


def test_files_of_a_service_that_writes_are_those_of_one_moment(
    stack, docker_engine, image, made, tmp_path
):
    stack.config_file.write_text(yaml.safe_dump({"config": {"dataflow:runtime": "docker"}}))
    stack.create()
    client = docker_engine.client
    old, new = f"dataflow-{stack.name}-old", f"dataflow-{stack.name}-new"
    assert data(stack, docker_engine, "old").left_behind() == ""
    with pytest.raises(StackError, match="has no container 'old-container': run bin/dataflow up"):
        data(stack, docker_engine, "old").save(["one"], None)

    made(old, "/dataflow/shelf", "/bin/sh", "-c", WRITING)
    made(f"{new}-files", EMPTY, "/bin/true")
    outputs = {"name": old, "workingDir": PLACE}
    placing = {
        "name": f"{new}-files",
        "image": image,
        "user": f"{USER}:{USER}",
        "mounts": [{"source": new, "target": EMPTY}],
    }
    record(
        stack,
        *(
            {
                "urn": f"urn:pulumi:{stack.name}::dataflow::{CONTAINER}::{name}",
                "custom": True,
                "id": name,
                "type": CONTAINER,
                "outputs": known,
            }
            for name, known in (("old-container", outputs), ("new-files", placing))
        ),
    )
    client.send("POST", "containers", old, "start")
    written = ("cat", f"{PLACE}/two")
    wait_until(lambda: docker_engine.run_in(old, *written)[1].count("line") > 3, 30)

    saved = tmp_path / "saved.tar"
    with tarfile.open(saved, "w") as out:
        data(stack, docker_engine, "old").save(["one", "two", "deep", "missing"], out)
    with tarfile.open(saved) as archive:
        files = contained(archive)
        assert archive.getmember("deep").isdir()
    first, second = (files[name][2].count(b"line") for name in ("one", "two"))
    assert first - second in (0, 1), "nothing was written between the two"
    more = docker_engine.run_in(old, *written)[1].count("line")
    wait_until(lambda: docker_engine.run_in(old, *written)[1].count("line") > more, 30)

    assert data(stack, docker_engine, "new").left_behind() == f"volume {new}"
    half = io.BytesIO()
    with tarfile.open(fileobj=half, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("half"))
    for content in (half.getvalue(), saved.read_bytes()):  # the second time after an interruption
        data(stack, docker_engine, "new").place(io.BytesIO(content), "below")
    with client.files(f"{new}-files", f"{EMPTY}/data/below") as archive:
        assert contained(archive) == {
            f"below/{name}": (USER, 0o600, content) for name, (_, _, content) in files.items()
        }
