"""Brings a stack back from a backup, onto a machine where it does not run (any more).

First the stores alone, then their contents, then the rest of the stack: its connections, which
find themselves with their state in the restored database, go on where they were and read
nothing twice; datasets and dashboards are taken over by their names.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from dynamic_providers.credentials import SEED_KEY
from operations import catalog, clients, lake, postgres, search
from operations.archive import (
    SETTINGS,
    BackupError,
    Manifest,
    read_manifest,
    verify,
)
from operations.sealed import Keys
from tools.paths import engine_environment
from tools.running import would_run
from tools.stack import Stack, StackError

# What holds data, with what it belongs to or waits for, as parts of URNs: the grants on the sample
# database wait for the job that fills it, which finds it full.
STORES = (
    "pulumi:pulumi:Stack",
    "dataflow:index:Platform::",
    "dataflow:runtime:ProcessRuntime",
    "dataflow:runtime:DockerRuntime",
    "dataflow:security:CertificateAuthority",
    "dataflow:storage:",
    "dataflow:ingestion:Shop",
)
CATALOG = "dataflow:processing:Dremio::"  # what its files belong to
PLACED, LOADED = "placed", "loaded"  # how far a restore is
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """rpo_s: age of the data; rto_s: time that the restore took, both in seconds."""

    manifest: Manifest
    rpo_s: float
    rto_s: float


def manifest_of(stack: Stack, folder: Path) -> Manifest:
    """Of a backup that is the stack's, and complete. Raises BackupError."""
    manifest = read_manifest(folder)
    if manifest.stack != stack.name:
        raise BackupError(
            f"{folder}: is of stack {manifest.stack!r}, not {stack.name!r}: give "
            f"--stack {manifest.stack}"
        )
    would_run(stack).data(postgres.SERVICE)  # refused where the platform backs up itself
    return manifest


def restore(stack: Stack, folder: Path, manifest: Manifest, say: Say) -> Restored:
    """Raises BackupError, StackError. Nothing is changed before the backup has been verified.

    May be run again after an interruption: a mark tells which backup was under way.
    """
    started, began = time.monotonic(), datetime.now(UTC)
    mark = stack.paths.stack_dir(f".{stack.name}.restoring")
    salt, _, stage = mark.read_text().partition(" ") if mark.exists() else ("", "", "")
    under_way = salt == manifest.salt
    if not under_way:
        _require_not_deployed(stack)
    keys = verify(folder, manifest, backup_seed(stack, folder))
    say(f"verified: {folder}, made at {manifest.createdAt}")

    if not (under_way and stage):
        if not stack.exists:
            stack.config_file.write_text((folder / SETTINGS).read_text())
        stack.create()
        if not under_way:
            _require_room(stack)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(manifest.salt)
        _place_files(stack, folder, keys)
        stage = PLACED
        mark.write_text(f"{manifest.salt} {stage}")
    if stage == PLACED:
        deploy(stack, *STORES)
        _load(stack, folder, keys, manifest, say)
        # Not again after this: dbt replaces files, and old ones would come back beside the new.
        mark.write_text(f"{manifest.salt} {LOADED}")
    deploy(stack)
    mark.unlink()
    return Restored(
        manifest=manifest,
        rpo_s=(began - manifest.created_at).total_seconds(),
        rto_s=time.monotonic() - started,
    )


def backup_seed(stack: Stack, folder: Path) -> str:
    """The seed in a backup's settings, which the stack's must be. Raises BackupError."""
    seed = _decrypted(stack, folder / SETTINGS)
    if stack.exists and SEED_KEY in stack.configuration() and stack.seed() != seed:
        raise BackupError(
            f"stack {stack.name!r} has another seed than the backup, and so other passwords: "
            f"remove it with bin/dataflow pulumi stack rm {stack.name}, then restore"
        )
    return seed


def _decrypted(stack: Stack, settings: Path) -> str:
    """By an engine with nothing but these settings, so that nothing of the stack is touched."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        project = {"name": "dataflow", "runtime": "python"}
        (scratch / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        own = scratch / f"Pulumi.{stack.name}.yaml"
        own.write_text(settings.read_text())
        environment = engine_environment(stack.paths) | {"PULUMI_BACKEND_URL": scratch.as_uri()}
        alone = replace(stack, paths=replace(stack.paths, root=scratch))
        for arguments in (
            ("stack", "init", "--secrets-provider", alone.secrets_provider(None)),
            ("config", "get", SEED_KEY),
        ):
            done = subprocess.run(  # noqa: S603
                [str(stack.paths.bin / "pulumi"), *arguments, "--stack", stack.name],
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise BackupError(
                    f"the seed of the backup cannot be decrypted: {done.stderr.strip()}: put the "
                    f"passphrase that belongs to it into {stack.paths.passphrase_file}"
                )
        return done.stdout.strip()


def _require_not_deployed(stack: Stack) -> None:
    if stack.exists and stack.resources():
        raise BackupError(
            f"stack {stack.name!r} is deployed: a restore would overwrite it. Take it down first: "
            f"bin/dataflow down --stack {stack.name}"
        )


def _require_room(stack: Stack) -> None:
    if found := would_run(stack).data(postgres.SERVICE).left_behind():
        raise BackupError(f"{found}: data that the stack left behind (keepData): move it away")


def _place_files(stack: Stack, folder: Path, keys: Keys) -> None:
    """What services find when they start."""
    place = would_run(stack)
    dremio, server = place.data(catalog.SERVICE), place.data(postgres.SERVICE)
    if needed := (*dremio.needs(), *server.needs()):
        # With the servers: the engine makes their providers whatever is chosen.
        deploy(stack, *STORES, CATALOG, *needed)
    with catalog.saved(folder, keys) as archive:
        dremio.place(archive)
    with postgres.saved(folder, keys) as archive:
        server.place(archive, postgres.CLUSTER)


def _load(stack: Stack, folder: Path, keys: Keys, manifest: Manifest, say: Say) -> None:
    """Raises BackupError when the stores do not hold afterwards what the manifest says."""
    content = manifest.content
    _compare("postgres", content["postgres"]["rows"], postgres.rows(clients.postgres(stack)))
    say(f"PostgreSQL: {sum(content['postgres']['rows'].values())} rows")
    _compare("lake", content["lake"], lake.load(clients.store(stack), folder, keys))
    say(f"lake: {content['lake']['objects']} objects, checksums are equal")
    with clients.search(stack) as api:
        _compare("search", content["search"], search.load(api, folder, keys))
    say(f"Elasticsearch: {sum(content['search'].values())} documents")


def _compare(part: str, wanted: Mapping[str, object], found: Mapping[str, object]) -> None:
    """`found` may hold more."""
    for key, value in wanted.items():
        if found.get(key) != value:
            raise BackupError(
                f"{part}: {key}: the backup has {value}, the restored stack {found.get(key)}"
            )


def deploy(stack: Stack, *parts: str) -> None:
    """Runs `up` for the resources with one of the texts in their URN, else for all."""
    targets = (f"--target=**{part}**" for part in parts)
    if stack.pulumi("up", "--yes", "--skip-preview", *targets):
        raise StackError(
            "not everything could be made: mend what the messages say, then give the same command"
        )
