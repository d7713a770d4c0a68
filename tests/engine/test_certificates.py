"""TLS of a running stack: every port, and certificates that are due."""

from datetime import UTC, datetime, timedelta

import pytest

from dynamic_providers.endpoints import PORTS, port
from dynamic_providers.local import certificate, control
from tests.services.running import wait_until
from tests.support import tls
from tests.support.deployed import Deployed
from tls.authority import SECRET_NAME, Authority, authority, load

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]
RELOAD_S = 60


@pytest.fixture
def signer(deployed: Deployed) -> Authority:
    return authority(deployed.password(SECRET_NAME))


def served(deployed: Deployed, signer: Authority, service: str) -> str:
    return tls.served(port(service, deployed.offset), signer, postgresql=service == "postgres")


@pytest.mark.parametrize("service", PORTS)
def test_a_port_speaks_tls_and_nothing_else(deployed, signer, service):
    number = port(service, deployed.offset)
    assert served(deployed, signer, service)
    tls.assert_strangers_are_not_trusted(number, postgresql=service == "postgres")
    tls.assert_old_versions_are_refused(number, postgresql=service == "postgres")
    if service != "postgres":
        tls.assert_clear_text_is_refused(number)


def test_postgresql_refuses_clear_text(deployed):
    password = deployed.password("postgres-superuser")
    tls.assert_postgresql_refuses_clear_text(port("postgres", deployed.offset), password)


def test_what_is_due_shows_in_the_preview_and_is_renewed_without_a_restart(deployed, signer):
    services = ("airbyte", "postgres")
    daemon = control.of(str(deployed.stack.directory))
    before = {name: daemon.info(name).pid for name in services}
    late = datetime.now(UTC) - timedelta(days=61)
    for spec in certificate.records(str(deployed.stack.directory)):
        if spec["name"] in services:
            old = signer.issue(spec["name"], spec["hosts"], now=late, days=90)
            certificate._write(signer, spec, old)
    assert deployed.changes() == {f"{name}-certificate": ["renewedAt"] for name in services}
    deployed.up()
    soon = datetime.now(UTC) + timedelta(days=80)
    for name in services:
        wait_until(
            lambda name=name: load(served(deployed, signer, name)).not_valid_after_utc > soon,
            RELOAD_S,
        )
    assert {name: daemon.info(name).pid for name in services} == before
    deployed.pulumi("preview", "--expect-no-changes")
