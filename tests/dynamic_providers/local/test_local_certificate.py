"""Certificates of services, and the authority that issues them."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynamic_providers.handler import InputError
from dynamic_providers.local import certificate, certificate_authority, process, renewal
from dynamic_providers.local.account import account
from dynamic_providers.local.resources import CertificateProvider
from tls.authority import Issued, authority, fingerprint, hosts, load

SIGNER = authority("the credential of this test")
NOW = datetime.now(UTC)

# Serves the text that it read from the certificate when it was told to.
RELOADING = """\
import http.server, signal, sys
read = lambda *_: globals().update(text=open(sys.argv[2]).read())
read()
signal.signal(signal.SIGHUP, read)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def wanted(stack, user):
    def spec(**changes) -> dict:
        return certificate.normalize(
            {
                "stackDir": stack,
                "name": "web",
                "authority": fingerprint(load(SIGNER.certificate)),
                "hosts": ["localhost", "127.0.0.1"],
                "user": user,
                **changes,
            }
        )

    made = spec()
    yield spec
    certificate.delete(SIGNER, certificate.natural_key(made), made)


def folder(spec: dict) -> Path:
    return Path(certificate.natural_key(spec))


def text(spec: dict, name: str = "tls.crt") -> str:
    return (folder(spec) / name).read_text()


def age(spec: dict, days_left: float) -> None:
    """Puts a certificate in place that has that much time left."""
    issued = SIGNER.issue(
        spec["name"], spec["hosts"], now=NOW - timedelta(days=90 - days_left), days=90
    )
    certificate._write(SIGNER, spec, issued)


def test_lifecycle(wanted):
    spec = wanted(hosts=["localhost", "127.0.0.1", "localhost"])
    assert certificate.normalize(spec) == spec
    live = certificate.create(SIGNER, spec)
    first = text(spec)
    assert hosts(load(first)) == ["127.0.0.1", "localhost"]
    assert certificate.create(SIGNER, spec).id == live.id
    assert text(spec) == first  # adopted, no twin
    assert certificate.read(SIGNER, live.id, spec) == live

    wider = wanted(hosts=["localhost", "127.0.0.1", "minio"], keyFile="private.key")
    certificate.update(SIGNER, live.id, spec, wider)
    assert certificate.read(SIGNER, live.id, wider).inputs == wider
    assert sorted(os.listdir(folder(spec))) == ["ca.crt", "private.key", "tls.crt"]

    certificate.delete(SIGNER, live.id, spec)
    certificate.delete(SIGNER, live.id, spec)
    assert certificate.read(SIGNER, live.id, spec) is None
    assert not folder(spec).parents[1].exists()
    assert certificate.records(spec["stackDir"]) == []
    assert certificate.create(SIGNER, spec).inputs == spec


def test_the_key_is_readable_by_the_services_user_alone(wanted, user):
    spec = wanted()
    certificate.create(SIGNER, spec)
    found = (folder(spec) / "tls.key").stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == account(user).uid
    assert "PRIVATE KEY" in text(spec, "tls.key")
    assert text(spec, "ca.crt") == SIGNER.certificate


def test_no_key_is_in_the_state(wanted):
    live = certificate.create(SIGNER, wanted())
    assert "PRIVATE KEY" not in repr(live)


def test_a_preview_asks_for_a_renewal_in_the_last_third_and_not_before(wanted):
    spec = certificate.renewed({}, wanted())
    certificate.create(SIGNER, spec)
    assert certificate.renewed(spec, wanted()) == spec
    age(spec, days_left=31)
    assert certificate.renewed(spec, wanted()) == spec
    age(spec, days_left=29)
    earlier = {**spec, "renewedAt": "2026-01-01T00:00:00+00:00"}
    due = certificate.renewed(earlier, wanted())
    assert {key for key in due if due[key] != earlier[key]} == {"renewedAt"}
    old = text(spec)
    certificate.update(SIGNER, certificate.natural_key(spec), earlier, due)
    assert text(spec) != old
    assert certificate.renewed(due, wanted()) == due  # the next preview is empty


def test_a_lost_certificate_shows_in_the_preview_and_comes_back(wanted):
    spec = {**wanted(), "renewedAt": "2026-01-01T00:00:00+00:00"}
    certificate.create(SIGNER, spec)
    (folder(spec) / "tls.crt").unlink()
    assert certificate.renewed(spec, wanted()) != spec
    certificate.update(SIGNER, certificate.natural_key(spec), spec, spec)
    assert load(text(spec))


def test_the_providers_check_carries_the_time_of_the_last_renewal(wanted):
    spec = certificate.renewed({}, wanted())
    certificate.create(SIGNER, spec)
    asked = CertificateProvider().check({**spec, "renewedAt": "then"}, wanted())
    assert asked.inputs["renewedAt"] == "then"


def test_another_authority_means_a_new_certificate(wanted):
    spec = wanted()
    certificate.create(SIGNER, spec)
    other = authority("another credential")
    assert certificate.read(other, certificate.natural_key(spec), spec).inputs["authority"] == ""
    changed = wanted(authority=fingerprint(load(other.certificate)))
    certificate.update(other, certificate.natural_key(spec), spec, changed)
    assert other.issued(load(text(spec)))
    assert text(spec, "ca.crt") == other.certificate


def test_a_certificate_without_its_key_is_gone(wanted):
    spec = wanted()
    live = certificate.create(SIGNER, spec)
    foreign = SIGNER.issue("web", spec["hosts"], now=NOW, days=90)
    mixed = Issued(certificate=text(spec), key=foreign.key)
    certificate._write(SIGNER, spec, mixed)
    assert certificate.read(SIGNER, live.id, spec) is None
    made = certificate.create(SIGNER, spec)
    assert certificate.read(SIGNER, live.id, spec) == made


def test_the_renewal_service_renews_what_is_due_and_nothing_else(wanted):
    spec = wanted()
    certificate.create(SIGNER, spec)
    fresh = text(spec)
    assert renewal.renew_all(SIGNER, spec["stackDir"]) == []
    assert text(spec) == fresh
    age(spec, days_left=29)
    due = text(spec)
    assert renewal.renew_all(SIGNER, spec["stackDir"]) == []
    assert text(spec) not in (fresh, due)


def test_one_that_cannot_be_renewed_does_not_keep_the_others_from_it(wanted, stack, capsys):
    spec = wanted()
    certificate.create(SIGNER, spec)
    age(spec, days_left=1)
    due = text(spec)
    record = Path(stack, "tls", "a.json")
    record.write_text('{"name": "a"}')
    assert renewal.renew_all(SIGNER, stack) == ["a"]
    record.unlink()
    assert text(spec) != due
    assert "a: KeyError" in capsys.readouterr().err


def test_a_program_that_asks_for_it_is_told_of_a_renewal(wanted, server, get, wait_until):
    spec = wanted(reloadSignal="HUP")
    certificate.create(SIGNER, spec)
    web = server(spec["stackDir"], files={"server.py": RELOADING})
    web["command"] = [*web["command"], str(folder(spec) / "tls.crt")]
    process.create(None, web)
    assert get(web, "") == text(spec)
    age(spec, days_left=1)
    certificate.renew(SIGNER, spec)
    wait_until(lambda: get(web, "") == text(spec))
    assert load(text(spec)).not_valid_after_utc > NOW + timedelta(days=80)


def test_a_process_that_goes_leaves_the_certificate(wanted, server):
    spec = wanted()
    live = certificate.create(SIGNER, spec)
    web = server(spec["stackDir"])
    process.create(None, web)
    process.delete(None, process.natural_key(web), web)
    assert certificate.read(SIGNER, live.id, spec) == live


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hosts": []}, "hosts: expected a list with one entry"),
        ({"durationDays": 91}, "durationDays: 91: expected 1 to 90"),
        ({"renewBeforeDays": 29}, "renewBeforeDays: 29: expected a third of 90 or more"),
        ({"renewBeforeDays": 90}, "renewBeforeDays: 90: expected a third of 90 or more, and less"),
        ({"keyFile": "../tls.key"}, "keyFile: '../tls.key': expected a relative path"),
        ({"reloadSignal": "NONE"}, "reloadSignal: 'NONE': expected TERM"),
    ],
)
def test_wrong_inputs_are_named(wanted, change, message):
    with pytest.raises(InputError, match=message):
        wanted(**change)


def test_lifecycle_of_the_authoritys_certificate(tmp_path):
    given = {"stackDir": str(tmp_path / "stack"), "certificate": SIGNER.certificate}
    spec = certificate_authority.normalize(given)
    assert certificate_authority.normalize(spec) == spec
    live = certificate_authority.create(SIGNER, spec)
    assert certificate_authority.create(SIGNER, spec) == live
    assert certificate_authority.read(SIGNER, live.id, spec) == live
    assert certificate_authority.read(SIGNER, live.id, {}) == live
    assert Path(live.id).read_text() == SIGNER.certificate
    other = authority("another credential")
    changed = {**spec, "certificate": other.certificate}
    certificate_authority.update(other, live.id, spec, changed)
    assert certificate_authority.read(other, live.id, changed).inputs == changed
    certificate_authority.delete(SIGNER, live.id, spec)
    certificate_authority.delete(SIGNER, live.id, spec)
    assert certificate_authority.read(SIGNER, live.id, spec) is None
    assert not (tmp_path / "stack").exists()


def test_a_certificate_that_is_not_the_stacks_is_refused(tmp_path):
    spec = {"stackDir": str(tmp_path), "certificate": authority("other").certificate}
    with pytest.raises(InputError, match="not that of the authority"):
        certificate_authority.create(SIGNER, spec)
