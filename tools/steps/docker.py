"""A Docker engine for the tests of dev, and what their smallest image holds.

Installed by `make test` only, and for root only: nobody else can run one.
"""

import os
import shutil
from pathlib import Path

from tools.paths import Paths
from tools.step import Log, Step, copy_executable, digest
from tools.steps.services import debian_packages, debian_system

DOCKER = "docker"
# The engine, and the libraries that a minimal Debian lacks. A name server for containers is set
# up with iptables in each container's own network, also where the host's tables are left alone.
ENGINE_PACKAGES = (
    "docker.io",
    "containerd",
    "runc",
    "tini",
    "iptables",
    *("libdevmapper1.02.1", "libseccomp2", "libxtables12", "libnftnl11", "libmnl0"),
)
IMAGE_PACKAGES = ("busybox-static",)  # one file, which is a whole image
# A system that the project's own programs and the services of the local stack run on. Redis speaks
# as Valkey does, which this release of Debian does not have.
SYSTEM_PACKAGES = (
    *("bash", "coreutils", "curl", "dash", "findutils", "grep", "mawk", "procps", "sed", "wget"),
    *("libstdc++6", "python3", "redis-server"),
)
SYSTEM_LINKS = {
    "bin/sh": "dash",
    "usr/bin/awk": "mawk",
    "usr/local/bin/valkey-server": "/usr/bin/redis-server",
}
ENGINE_PROGRAMS = (
    *("dockerd", "docker-proxy", "docker-init", "containerd", "containerd-shim-runc-v2", "runc"),
    "xtables-nft-multi",
)


def steps(paths: Paths) -> list[Step]:
    return [_docker(paths)] if os.geteuid() == 0 else []


def _docker(paths: Paths) -> Step:
    """bin/: the engine's programs. lib/: their libraries. images/: contents of test images."""
    target = paths.opt / DOCKER

    def run(log: Log) -> None:
        with log.scratch() as scratch, log.staged(target) as folder:
            unpacked = scratch / "unpacked"
            for package in debian_packages(log, (*ENGINE_PACKAGES, *IMAGE_PACKAGES), scratch):
                log.run(["dpkg-deb", "--extract", package, unpacked])
                log.write(package.name)
            _take_programs(unpacked, folder / "bin")
            _take_libraries(unpacked, folder / "lib")
            (folder / "images").mkdir()
            (unpacked / "bin/busybox").rename(folder / "images/busybox")
            _pack_system(log, scratch, folder / "images/system.tar")
            log.say("Docker engine: Debian's packages, unpacked")

    return Step(
        name=DOCKER,
        key=digest(*ENGINE_PACKAGES, *IMAGE_PACKAGES, *SYSTEM_PACKAGES, *ENGINE_PROGRAMS),
        run=run,
        outputs=tuple(
            target / part
            for part in ("bin/dockerd", "bin/iptables", "images/busybox", "images/system.tar")
        ),
        doing="installing a Docker engine for tests, 40 s",
        hint="it is taken from Debian's packages: check that apt-get works on this machine",
    )


def _take_programs(unpacked: Path, folder: Path) -> None:
    folder.mkdir()
    for program in ENGINE_PROGRAMS:
        found = next(path for path in unpacked.glob(f"usr/*bin/{program}") if path.is_file())
        copy_executable(found, folder / program)  # some are links to others
    for name in ("iptables", "ip6tables"):
        (folder / name).symlink_to("xtables-nft-multi")


def _take_libraries(unpacked: Path, folder: Path) -> None:
    folder.mkdir()
    for library in (*unpacked.glob("lib/*/*.so*"), *unpacked.glob("usr/lib/*/*.so*")):
        library.rename(folder / library.name)
    next(unpacked.glob("usr/lib/*/xtables")).rename(folder / "xtables")


def _pack_system(log: Log, scratch: Path, archive: Path) -> None:
    root = scratch / "system"
    for package in debian_system(log, SYSTEM_PACKAGES, scratch):
        log.run(["dpkg-deb", "--extract", package, root])
        log.write(package.name)
    for place, target in SYSTEM_LINKS.items():
        link = root / place
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    for unread in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / unread, ignore_errors=True)
    # Installing the packages would do this. Containers cannot: their root is read-only, and each
    # start of a program would compile the library again.
    (library,) = root.glob("usr/lib/python3.*")
    log.run(
        [
            *(root / "usr/bin" / library.name, "-m", "compileall", "-q"),
            *("-s", root, "-p", "/", library),
        ],
        env={"PYTHONHOME": str(root / "usr")},
    )
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    log.run(["tar", "--create", "--file", archive, "--directory", root, "."])
