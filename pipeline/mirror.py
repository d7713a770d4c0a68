"""Copies the lake's files to another object store, and back.

`save`: makes the copy what the lake is now, and notes a restore point. `recover`: brings back
what the lake was at a restore point, as far as the lake lacks it. Both compare first, so that a
second run goes on where the first was interrupted. Ends with 0 when all went well, 1 when
something failed, 2 for wrong settings or arguments, 130 when interrupted.

The flow may write meanwhile: each object is copied as it is when it is read, whole. A restore
point bears the time at which its run began: whatever PostgreSQL said of the lake by then, the copy
has. PostgreSQL as of that time and the copy fit each other; of what a sync added meanwhile the
copy may have more. A mark in the lake tells when the last copy was complete, also to those who
have no account of the backup store.

A copy that is overwritten or removed stays, as an older version of the backup's bucket, which
must therefore keep versions: for RETENTION_DAYS or more.
"""

import json
import ssl
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from pipeline import command
from pipeline.config import COPIED, RECOVERED, MirrorConfig, StoreConfig, load_mirror, secret
from pipeline.objects import USER_METADATA, kept, put, reading
from pipeline.progress import Progress, Step, StepError

COPIES, POINTS = "lake", "restore-points"  # folders below the prefix
RETENTION_DAYS = 30  # of restore points: as PostgreSQL's archive
PARALLEL = 8  # objects at once, each with one part of 5 MiB in memory, more beyond 50 GB
PROGRESS_S = 30.0  # between two lines
TIMEOUT = urllib3.Timeout(connect=10, read=120)
ORIGIN = "dataflow-etag"  # metadata of a copy: what its original is known by
GONE = ("NoSuchKey", "NoSuchVersion")
AGAIN = "Run it again: what has been copied stays."
ACCOUNT = "Check the account, and its rights on the bucket."
REMEDIES = {
    "AccessDenied": ACCOUNT,
    "InvalidAccessKeyId": ACCOUNT,
    "SignatureDoesNotMatch": ACCOUNT,
    "NoSuchBucket": "Create the bucket.",
}
VERBS = ("save", "recover")


class Retry(urllib3.Retry):
    """Of all that may be better a moment later: a certificate that is not trusted will not be."""

    def increment(self, *request: Any, **more: Any) -> "Retry":
        causes = getattr(more.get("error"), "args", ())
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            urllib3.Retry(total=0).increment(*request, **more)  # raises
        return super().increment(*request, **more)


RETRIES = Retry(total=5, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504))


class Gone(StepError):  # noqa: N818 - a state of the object
    """It is not there any more."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An object, by its name in the lake. version: "" for the newest."""

    name: str
    etag: str
    size: int
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Store:
    """The objects of a bucket below a prefix."""

    client: Minio = field(repr=False)
    bucket: str
    prefix: str
    place: str

    def listed(self, folder: str) -> Iterator[Entry]:
        """In the order of their names."""
        before = ""
        with self.told():
            for found in self._list(folder):
                entry = self._entry(found)
                if entry.name <= before:
                    raise StepError(
                        f"{self.place}: lists {entry.name!r} after {before!r}",
                        "Two listings are compared by their order: use a store that keeps it.",
                    )
                before = entry.name
                yield entry

    def at(self, moment: datetime, folder: str) -> list[Entry]:
        """What was there at a moment, in the order of names. All of it in memory: the versions
        of an object and the marks of its removal may be apart."""
        newest: dict[str, Any] = {}
        with self.told():
            for found in self._list(folder, include_version=True):
                known = newest.get(found.object_name)
                if found.last_modified <= moment and (
                    known is None or found.last_modified > known.last_modified
                ):
                    newest[found.object_name] = found
        held = [self._entry(found) for found in newest.values() if not found.is_delete_marker]
        return sorted(held, key=lambda entry: entry.name)

    def origin(self, entry: Entry) -> str:
        """What the original of a copy is known by, "" for what is no copy."""
        with self.told(entry.name):
            about = self.client.stat_object(
                self.bucket, self.prefix + entry.name, version_id=entry.version or None
            )
        return str((about.metadata or {}).get(f"{USER_METADATA}{ORIGIN}", ""))

    def require_versions(self) -> None:
        with self.told():
            status = self.client.get_bucket_versioning(self.bucket).status
        if status != "Enabled":
            raise StepError(
                f"{self.place}: keeps no versions of its objects",
                "Enable versioning of the bucket: a copy is overwritten when its original is.",
            )

    @contextmanager
    def told(self, name: str = "") -> Iterator[None]:
        """Turns failures of the store into one that says which."""
        place = f"{self.place}: {name}" if name else self.place
        try:
            yield
        except S3Error as fault:
            kind = Gone if fault.code in GONE else StepError
            remedy = REMEDIES.get(str(fault.code), AGAIN)
            raise kind(f"{place}: {fault.code}: {fault.message}", remedy) from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as fault:
            raise StepError(f"{place}: {fault}", AGAIN) from None

    def _list(self, folder: str, *, include_version: bool = False) -> Iterator[Any]:
        listing = self.client.list_objects(
            self.bucket,
            prefix=f"{self.prefix}{folder}/",
            recursive=True,
            include_version=include_version,
        )
        return (found for found in listing if not found.is_dir)  # a mark of an empty folder

    def _entry(self, found: Any) -> Entry:
        return Entry(
            name=str(found.object_name).removeprefix(self.prefix),
            etag=str(found.etag).strip('"'),
            size=int(found.size or 0),
            version=str(found.version_id or ""),
        )


@dataclass(kw_only=True)
class Counts:
    """objects: of the source. size: their bytes. copied, removed: objects of the target.
    sent: bytes of those that were copied."""

    objects: int = 0
    size: int = 0
    copied: int = 0
    sent: int = 0
    removed: int = 0

    def add(self, other: "Counts") -> None:
        self.objects += other.objects
        self.size += other.size
        self.copied += other.copied
        self.sent += other.sent
        self.removed += other.removed

    def __str__(self) -> str:
        return (
            f"{self.objects:,} objects, {self.size:,} bytes; {self.copied:,} copied, "
            f"{self.sent:,} bytes; {self.removed:,} removed"
        )


def connect(config: StoreConfig, prefix: str = "") -> Store:
    """Raises ConfigError for an account that cannot be read."""
    address = urlsplit(config.url)
    pool = urllib3.PoolManager(
        timeout=TIMEOUT,
        retries=RETRIES,
        maxsize=PARALLEL,
        ssl_context=ssl.create_default_context(cafile=config.ca_file),
    )
    client = Minio(
        address.netloc,
        access_key=secret(config.user_file),
        secret_key=secret(config.password_file),
        region=config.region,
        secure=address.scheme == "https",
        http_client=pool,
    )
    return Store(
        client=client,
        bucket=config.bucket,
        prefix=prefix,
        place=f"{config.url}/{config.bucket}",
    )


def utc_now() -> datetime:
    return datetime.now(UTC)


def save(
    config: MirrorConfig, progress: Progress, clock: Callable[[], datetime] = utc_now
) -> Counts:
    """Raises StepError, ConfigError."""
    lake = connect(config.lake)
    copies = connect(config.backup, f"{config.prefix}/{COPIES}/")
    began = clock()
    copies.require_versions()
    total = Counts()
    for folder in config.folders:
        with progress.step("save", f"{folder} to {copies.place}") as step:
            pairs = paired(lake.listed(folder), copies.listed(folder))
            done = bring(lake, copies, pairs, step, removing=True)
            step.done(str(done))
            total.add(done)
    _note(copies, config, began, total)
    _mark(lake, f"{COPIED}/last")
    progress.say(f"restore point {point_name(began)}: {total}")
    return total


def recover(config: MirrorConfig, progress: Progress) -> Counts:
    """Raises StepError, ConfigError. Whatever else the lake has stays. Once it is complete, a
    second run does nothing, whatever the flow has made of the lake since."""
    lake = connect(config.lake)
    copies = connect(config.backup, f"{config.prefix}/{COPIES}/")
    mark = f"{RECOVERED}/{config.restore_point}"
    with lake.told():
        if any(lake.client.list_objects(lake.bucket, prefix=mark)):
            progress.say(f"restore point {config.restore_point} was brought back before")
            return Counts()
    moment = _noted(copies, config)
    total = Counts()
    for folder in config.folders:
        with progress.step("recover", f"{folder} from {copies.place}") as step:
            pairs = paired(iter(copies.at(moment, folder)), lake.listed(folder))
            done = bring(copies, lake, pairs, step, removing=False)
            step.done(str(done))
            total.add(done)
    _mark(lake, mark)
    progress.say(f"as of restore point {config.restore_point}: {total}")
    return total


def last_copied(lake: Store) -> datetime | None:
    """When a copy was complete last, by the clock of the lake. Raises StepError."""
    with lake.told():
        marks = list(lake.client.list_objects(lake.bucket, prefix=f"{COPIED}/"))
    return max((cast(datetime, mark.last_modified) for mark in marks), default=None)


def _mark(lake: Store, name: str) -> None:
    with lake.told(name):
        lake.client.put_object(lake.bucket, name, BytesIO(b""), 0)


Pair = tuple[Entry | None, Entry | None]


def paired(here: Iterator[Entry], there: Iterator[Entry]) -> Iterator[Pair]:
    """Entries of the same name, of two listings in the same order; None where one lacks it."""
    one, other = next(here, None), next(there, None)
    while one or other:
        if other is None or (one and one.name < other.name):
            yield one, None
            one = next(here, None)
        elif one is None or other.name < one.name:
            yield None, other
            other = next(there, None)
        else:
            yield one, other
            one, other = next(here, None), next(there, None)


def bring(
    source: Store, target: Store, pairs: Iterable[Pair], step: Step, *, removing: bool
) -> Counts:
    """Makes `target` what `source` is. removing: also of what `source` lacks."""
    total, told = Counts(), monotonic()
    tasks = (_task(source, target, pair, removing) for pair in pairs)
    for done in in_parallel(tasks):
        total.add(done)
        if monotonic() - told > PROGRESS_S:
            step.tell(str(total))
            told = monotonic()
    return total


def _task(source: Store, target: Store, pair: Pair, removing: bool) -> Callable[[], Counts]:
    def run() -> Counts:
        one, other = pair
        if one is None:
            return _remove(target, other) if other and removing else Counts()
        try:
            if other and _same(source, one, target, other):
                return Counts(objects=1, size=one.size)
            return copy(source, one, target)
        except Gone:  # deleted since it was listed
            return Counts()

    return run


def _same(source: Store, one: Entry, target: Store, other: Entry) -> bool:
    """Equal etags mean equal contents. Different ones need not mean different contents: the etag
    of an object in parts depends on how it was sent, so copies note that of their original."""
    if one.size != other.size:
        return False
    return (
        one.etag == other.etag
        or target.origin(other) == one.etag
        or source.origin(one) == other.etag
    )


def copy(source: Store, entry: Entry, target: Store) -> Counts:
    name = source.prefix + entry.name
    with (
        source.told(entry.name),
        reading(source.client, source.bucket, name, entry.version) as answer,
    ):
        # Of what is read, which may be newer than what was listed.
        size, etag = int(answer.headers["Content-Length"]), answer.headers["ETag"].strip('"')
        headers = {**kept(answer.headers), f"{USER_METADATA}{ORIGIN}": etag}
        with target.told(entry.name):
            put(target.client, target.bucket, target.prefix + entry.name, answer, size, headers)
    return Counts(objects=1, size=size, copied=1, sent=size)


def _remove(target: Store, entry: Entry) -> Counts:
    with target.told(entry.name):
        target.client.remove_object(target.bucket, target.prefix + entry.name)
    return Counts(removed=1)


def in_parallel(tasks: Iterable[Callable[[], Counts]]) -> Iterator[Counts]:
    """Results in the order of the tasks, which are taken up as they are worked on."""
    waiting: deque[Future[Counts]] = deque()
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(task))
                if len(waiting) > 2 * PARALLEL:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


# Restore points


def point_name(began: datetime) -> str:
    return f"{began:%Y-%m-%dT%H:%M:%SZ}"


def _point(config: MirrorConfig, name: str) -> str:
    return f"{config.prefix}/{POINTS}/{name}.json"


def _note(copies: Store, config: MirrorConfig, began: datetime, total: Counts) -> None:
    """Adds a restore point, and removes those whose copies may be gone."""
    body = {"archive": config.archive, "objects": total.objects, "bytes": total.size}
    text = json.dumps(body).encode()
    oldest = point_name(began - timedelta(days=RETENTION_DAYS))
    with copies.told():
        for name in points(copies.client, copies.bucket, config.prefix):
            if name < oldest:
                copies.client.remove_object(copies.bucket, _point(config, name))
        copies.client.put_object(
            copies.bucket, _point(config, point_name(began)), BytesIO(text), len(text)
        )


def _noted(copies: Store, config: MirrorConfig) -> datetime:
    """When a restore point was complete, by the clock of the store: as listings tell it, which
    may be finer than what is told of one object."""
    with copies.told():
        known = points(copies.client, copies.bucket, config.prefix)
    if config.restore_point not in known:
        raise StepError(
            f"{copies.place}: no restore point {config.restore_point!r}",
            f"Choose one of {', '.join(known) or 'those that a copy makes'}.",
        )
    return known[config.restore_point]


def points(client: Minio, bucket: str, prefix: str) -> dict[str, datetime]:
    """Restore points, the oldest first -> when each was complete."""
    listed = client.list_objects(bucket, prefix=f"{prefix}/{POINTS}/", recursive=True)
    found = {Path(str(one.object_name)).stem: cast(datetime, one.last_modified) for one in listed}
    return dict(sorted(found.items()))


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("python -m pipeline.mirror", __doc__, VERBS).parse_args(arguments)
    progress = Progress()

    def work() -> None:
        (save if options.verb == "save" else recover)(load_mirror(options.config), progress)

    return command.exit_code(work, progress, AGAIN)


if __name__ == "__main__":
    sys.exit(main())
