"""Places for the services under test, readable by the user that runs them."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.running import Place
from tools.paths import Paths

SERVICE_USER = "dataflow"


@pytest.fixture(scope="session")
def paths() -> Paths:
    return Paths.find()


@pytest.fixture(scope="module")
def make_place() -> Iterator[Callable[[str], Place]]:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            account = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            pytest.skip(f"no user {SERVICE_USER!r}: it is made by `make bootstrap`")
        uid, gid = account.pw_uid, account.pw_gid
    # Not pytest's own folder: that one is closed to other users.
    root = Path(tempfile.mkdtemp(prefix="dataflow-services-"))
    root.chmod(0o755)
    yield lambda name: Place(root / name, uid, gid)
    shutil.rmtree(root)
