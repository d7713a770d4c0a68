"""Looks for the secrets of a stack in every place where others could read them.

`secrets_of` finds the generated values by their form in the decrypted state, so a credential
that joins the platform is looked for without a list to keep. `Places` collects texts and names
those that hold one, plain or encoded.
"""

import json
import os
import re
import stat
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dynamic_providers.credentials import LENGTH_BYTES

CREDENTIAL = re.compile(rf"(?<![a-z2-7])[a-z2-7]{{{LENGTH_BYTES * 8 // 5}}}(?![a-z2-7])")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)-----END", re.DOTALL)
TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}")  # a JSON Web Token
GZIP = b"\x1f\x8b"
WATCH_S = 0.05
BASE64_GROUP = 3  # bytes that Base64 turns into four characters
READ, ENTER = stat.S_IRGRP | stat.S_IROTH, stat.S_IXGRP | stat.S_IXOTH


def secrets_of(decrypted_state: str) -> dict[str, str]:
    """Place of the first find -> value, of each generated value in a `stack export
    --show-secrets`."""
    found: dict[str, str] = {}
    for resource in json.loads(decrypted_state)["deployment"]["resources"]:
        name = resource["urn"].rpartition("::")[2]
        for part in ("inputs", "outputs"):
            for place, text in _texts(resource.get(part) or {}, f"{name}.{part}"):
                for value in _generated(text):
                    found.setdefault(value, place)
    return {place: value for value, place in found.items()}


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        if "plaintext" in value:  # a secret, as the engine exports it: JSON in a text
            yield from _texts(json.loads(value["plaintext"]), place)
        else:
            for key, inner in value.items():
                yield from _texts(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{number}]")


def _generated(text: str) -> Iterator[str]:
    yield from CREDENTIAL.findall(text)
    yield from TOKEN.findall(text)
    for body in PRIVATE_KEY.findall(text):
        # One line of the key: how its lines are joined differs from place to place.
        yield body.split()[0]


def forms(secret: str) -> set[bytes]:
    """The value, and what it looks like in Base64 at any offset, in hexadecimal and in a URL."""
    raw = secret.encode()
    encoded = {raw, quote(secret, safe="").encode(), raw.hex().encode()}
    for shift in range(BASE64_GROUP):
        # The first and the last group depend on the neighbours: only what is between is certain.
        inner = b64encode(bytes(shift) + raw)[4 if shift else 0 :].rstrip(b"=")
        whole = inner[: (len(inner) - 2) // 4 * 4]
        encoded |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return encoded


def unpacked(content: bytes) -> bytes:
    """What is in a gzip file, as far as it was written; other content as it is."""
    parts = []
    while content.startswith(GZIP):
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: with gzip's head
        parts.append(member.decompress(content))
        content = member.unused_data
    return b"".join([*parts, content])


@dataclass
class Places:
    """secrets: name -> value. leaks: `name in place`, for every find."""

    secrets: Mapping[str, str] = field(repr=False)
    leaks: list[str] = field(default_factory=list)
    looked_at: int = 0

    def __post_init__(self) -> None:
        self._forms = {name: forms(secret) for name, secret in self.secrets.items()}

    def text(self, place: object, content: bytes | str) -> None:
        raw = content.encode() if isinstance(content, str) else content
        self.looked_at += 1
        for name, values in self._forms.items():
            if any(value in raw for value in values):
                self.leaks.append(f"{name} in {place}")

    def files(self, paths: Iterable[Path]) -> None:
        """Whoever may read them."""
        for path in paths:
            if path.is_file() and not path.is_symlink():
                self.text(path, unpacked(path.read_bytes()))

    def readable_files(self, root: Path) -> None:
        """Files below `root` that another user than their owner can reach and read."""
        for name, folders, names in os.walk(root):
            folder = Path(name)
            folders[:] = [inner for inner in folders if _is_open(folder / inner, ENTER)]
            self.files(folder / inner for inner in names if _is_open(folder / inner, READ))

    def processes(self, owner: re.Pattern[bytes] | None = None) -> None:
        """Arguments of every process, and its environment: of other users, too, when root looks.

        owner: arguments of processes whose environment may hold a secret, as it is theirs.
        """
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
                self.text(f"arguments of {_name(process)}", arguments)
                if owner is None or not owner.search(arguments):
                    environment = (process / "environ").read_bytes()
                    self.text(f"environment of {_name(process)}", environment)
            except OSError:
                continue  # it has ended

    @contextmanager
    def watching(self, owner: re.Pattern[bytes]) -> Iterator[None]:
        """Looks at all processes again and again while the block runs."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(WATCH_S):
                self.processes(owner)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def core_limits(matches: str) -> dict[str, str]:
    """`pid (name)` -> limit of core dumps of each process with `matches` in its arguments."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace")
            limits = (process / "limits").read_text()
        except OSError:
            continue
        if matches in arguments:
            [line] = [line for line in limits.splitlines() if line.startswith("Max core file")]
            found[_name(process)] = " ".join(line.split()[4:6])
    return found


def _name(process: Path) -> str:
    return f"{process.name} ({(process / 'comm').read_text().strip()})"


def _is_open(path: Path, bits: int) -> bool:
    return bool(path.lstat().st_mode & bits)
