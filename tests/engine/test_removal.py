"""Takes the deployed stack away: the last module of this folder."""

from pathlib import Path

import pytest

from dynamic_providers.endpoints import PORTS, port
from tests.support.ports import is_free

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]


def test_destroy_leaves_nothing(deployed):
    deployed.pulumi("destroy", "--yes", "--skip-preview")
    directory = str(deployed.stack.directory)
    left = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if directory in arguments:
            left.append(arguments)
    assert not left
    assert all(is_free(port(service, deployed.offset)) for service in PORTS)
    assert not deployed.stack.directory.exists()
