"""Images for the tests of dev that stand in for the products' own, made without any registry.

One small image has a name for each program: a system of Debian's packages, and this project. What
the bootstrap has installed on this machine, gigabytes of it, is not copied into every engine:
containers see it at the places where services/images.yaml says that the products' images have it.
In place of Dremio the image starts the embedded engine.
"""

import compileall
import io
import shutil
import tarfile
import tempfile
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from services import images
from tests.docker_fixtures import Engine
from tests.services.running import installed
from tools.paths import Paths

PLATFORM = "dataflow-test/platform:1"
PROJECT_HOME = "/opt/dataflow"
POSTGRESQL_HOME = "/usr/lib/postgresql/17"
ENVIRONMENTS = ("dbt", "source-faker")  # of the project's own image
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Reads what the real product is given, and starts the embedded engine with it, which takes
# certificates in PEM.
DREMIO = """\
    #!/opt/dataflow/.venv/bin/python
    import json, os, pathlib, sys
    from cryptography.hazmat.primitives.serialization import (
        Encoding, NoEncryption, PrivateFormat, pkcs12
    )
    config = pathlib.Path(sys.argv[sys.argv.index("--config") + 1])
    lines = (config / "dremio.conf").read_text().splitlines()
    included = lines.pop(0).split('"')[1]
    lines += pathlib.Path(included).read_text().splitlines()
    settings = {path: json.loads(value) for path, value in (line.split(": ", 1) for line in lines)}
    pems = {}
    for listener in ("services.coordinator.web.ssl", "services.flight.ssl"):
        assert settings[listener + ".enabled"] and settings[listener + ".keyStoreType"] == "PKCS12"
        key, certificate, others = pkcs12.load_key_and_certificates(
            pathlib.Path(settings[listener + ".keyStore"]).read_bytes(),
            settings[listener + ".keyStorePassword"].encode(),
        )
        pems["keyFile"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pems["certificateFile"] = certificate.public_bytes(Encoding.PEM)
    os.umask(0o077)
    for name, pem in pems.items():
        pathlib.Path("/tmp", name).write_bytes(pem)
    data = pathlib.Path(settings["paths.local"])
    own = data / "embedded.json"
    own.write_text(json.dumps({
        "host": "0.0.0.0",
        "restPort": settings["services.coordinator.web.port"],
        "flightPort": settings["services.flight.port"],
        "dataDir": str(data),
        "edition": "community",
        "tls": {name: "/tmp/" + name for name in pems},
    }))
    os.chdir("/opt/dataflow")
    python = "/opt/dataflow/.venv/bin/python"
    os.execv(python, [python, "-u", "-m", "embedded.dremio", "--config", str(own)])
    """
# The server's archive has no clients. Argument: the port, as the last one. A server that still
# recovers has its port open and refuses every session with the code 57P03.
PG_ISREADY = """\
    #!/usr/bin/python3 -IS
    import socket, struct, sys
    with socket.create_connection(("127.0.0.1", int(sys.argv[-1])), 3) as server:
        start = struct.pack("!i", 196608) + b"user\\0probe\\0\\0"
        server.sendall(struct.pack("!i", len(start) + 4) + start)
        answer = server.recv(1000)
    sys.exit(0 if answer and b"57P03" not in answer else 1)
    """


def make_images(engine: Engine, programs: Iterable[str]) -> dict[str, str]:
    """dict program -> name of its image."""
    paths = Paths.find()
    lent = _lent(paths)
    with installed(paths.opt / "docker/images/system.tar").open("rb") as archive:
        engine.import_image(PLATFORM, archive, f"ENV PATH={PATH}")
    engine.add_files(PLATFORM, PLATFORM, _project(paths.root, lent))
    engine.lend(lent)
    names = {program: f"dataflow-test/{program}:1" for program in programs}
    for name in names.values():
        engine.tag(PLATFORM, name)
    return names


def next_version(engine: Engine, name: str) -> str:
    """Name of an image that differs from `name` by one file."""
    newer = f"{name.rpartition(':')[0]}:2"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "/release", b"2\n", 0o644)
    engine.add_files(name, newer, buffer.getvalue())
    return newer


def _lent(paths: Paths) -> dict[str, Path]:
    """dict path in an image -> what the bootstrap has installed for it. Skips the test when
    something is missing."""
    postgresql, elasticsearch = paths.opt / "postgresql", paths.opt / "elasticsearch"
    environments = {f"{PROJECT_HOME}/.venv": paths.venv, "/app/.venv": paths.venvs / "superset"}
    environments |= {f"{PROJECT_HOME}/venvs/{name}": paths.venvs / name for name in ENVIRONMENTS}
    places = {
        **environments,
        # File by file: the server's archive has no clients, and the image adds one.
        **{
            f"{POSTGRESQL_HOME}/bin/{name}": installed(postgresql / "bin" / name)
            for name in ("initdb", "pg_ctl", "postgres")
        },
        **{f"{POSTGRESQL_HOME}/{name}": postgresql / name for name in ("lib", "share")},
        "/usr/share/elasticsearch": elasticsearch,
        "/bin/prometheus": paths.opt / "prometheus/bin/prometheus",
        "/usr/bin/minio": paths.bin / "minio",
    }
    # Where links lead to that go out of the above: Java, and the Pythons of environments unless
    # they are the system's own, which the image has.
    beyond = {(elasticsearch / "jdk").resolve()} - {elasticsearch / "jdk"}
    beyond |= {(home / "bin/python").resolve().parents[1] for home in environments.values()}
    places |= {str(home): home for home in beyond - {Path("/usr")}}
    return {path: installed(source) for path, source in places.items()}


def _project(root: Path, lent: Mapping[str, Path]) -> bytes:
    """The project's modules, users, the folders that new volumes copy their owners from, and an
    empty place for all that is lent."""
    known = sorted({image.user for image in images.load().values()})
    users = "root:x:0:0::/root:/bin/sh\n" + "".join(
        f"user{uid}:x:{uid}:{uid}::/tmp:/bin/sh\n" for uid in known
    )
    groups = "root:x:0:\n" + "".join(f"user{uid}:x:{uid}:\n" for uid in known)
    buffer = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as scratch,
        tarfile.open(fileobj=buffer, mode="w") as archive,
    ):
        archive.add(_compiled(root, Path(scratch)), PROJECT_HOME, filter=_as_root)
        for uid in known:
            for below in ("", "/config", "/data"):
                _add_folder(archive, f"/dataflow/empty/{uid}{below}", 0o700, uid)
        for path, source in lent.items():
            if source.is_dir():
                _add_folder(archive, path, 0o755)
            else:
                _add(archive, path, b"", 0o755)
        for path, text in (
            ("/etc/passwd", users),
            ("/etc/group", groups),
            ("/opt/dremio/bin/dremio", textwrap.dedent(DREMIO)),
            (f"{POSTGRESQL_HOME}/bin/pg_isready", textwrap.dedent(PG_ISREADY)),
        ):
            _add(archive, path, text.encode(), 0o755)
    return buffer.getvalue()


def _compiled(root: Path, copy: Path) -> Path:
    """`copy`, with the project's modules in it as its Dockerfile leaves them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    packages = set(settings["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) - {"tests"}
    for name in sorted({"dbt_project", *packages}):
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, copy / name, ignore=ignored)
        else:
            shutil.copy2(root / f"{name}.py", copy)
    compileall.compile_dir(copy, quiet=1, stripdir=str(copy), prependdir=PROJECT_HOME)
    return copy


def _add(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _add_folder(archive: tarfile.TarFile, path: str, mode: int, uid: int = 0) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    entry.uid = entry.gid = uid
    archive.addfile(entry)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.mode |= 0o555 if entry.isdir() else 0o444
    return entry
