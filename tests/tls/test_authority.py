"""What the authority of a stack is, and what its certificates are good for."""

import hashlib
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamic_providers.endpoints import PORTS
from tls.authority import (
    DURATION_DAYS,
    RENEW_BEFORE_DAYS,
    SERVICES,
    authority,
    fingerprint,
    hosts,
    load,
)

NOW = datetime.now(UTC)
HOSTS = ["127.0.0.1", "localhost", "minio"]


def issue(stack_authority, name="minio", names=HOSTS, now=NOW, days=DURATION_DAYS):
    return stack_authority.issue(name, names, now=now, days=days)


def verify(tmp_path, root: str, certificate: str, host: str, at: datetime | None = None) -> str:
    """What openssl says of a certificate: "" when it is good for that host. at: by default now,
    which in a long session is much later than this module's import."""
    at = at or datetime.now(UTC)
    (tmp_path / "ca.crt").write_text(root)
    (tmp_path / "tls.crt").write_text(certificate)
    address = host.replace(".", "").isdigit()
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-attime", str(int(at.timestamp()))),
            *("-verify_ip" if address else "-verify_hostname", host),
            *("-CAfile", tmp_path / "ca.crt", tmp_path / "tls.crt"),
        ],
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stderr


@given(st.text(min_size=1))
def test_a_secret_has_one_authority(secret):
    assert authority(secret).certificate == authority(secret).certificate
    assert authority(secret).certificate != authority(secret + "x").certificate


def test_the_key_does_not_show():
    made = authority("secret")
    assert made.key not in repr(made)
    assert "PRIVATE" not in repr(issue(made))


@pytest.mark.parametrize("host", HOSTS)
def test_a_certificate_is_good_for_its_hosts(tmp_path, host):
    made = authority("secret")
    assert verify(tmp_path, made.certificate, issue(made).certificate, host) == ""


def test_it_is_good_for_no_other_host(tmp_path):
    made = authority("secret")
    said = verify(tmp_path, made.certificate, issue(made).certificate, "postgres")
    assert "hostname mismatch" in said


def test_another_authority_does_not_vouch_for_it(tmp_path):
    certificate = issue(authority("secret")).certificate
    assert verify(tmp_path, authority("other").certificate, certificate, "localhost")
    assert authority("secret").issued(load(certificate))
    assert not authority("other").issued(load(certificate))


def test_while_one_takes_the_place_of_another_both_are_trusted(tmp_path):
    old, new = authority("old", "new"), authority("new", "old")
    assert old.trusted == new.trusted  # so that nothing changes when the other one signs
    for signer in (old, new):
        assert verify(tmp_path, old.trusted, issue(signer).certificate, "localhost") == ""
        assert authority("new").trusted == new.certificate
    assert verify(tmp_path, authority("new").trusted, issue(old).certificate, "localhost")


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1"])
def test_the_authority_cannot_speak_for_the_world(tmp_path, host):
    made = authority("secret")
    stolen = issue(made, names=[host]).certificate
    assert "permitted subtree violation" in verify(tmp_path, made.certificate, stolen, host)


@pytest.mark.parametrize(
    ("host", "refused"), [("postgres.here.test", False), ("postgres.there.test", True)]
)
def test_below_a_domain_it_can_speak_for_names_there(tmp_path, host, refused):
    made = authority("secret", domain="here.test")
    said = verify(tmp_path, made.certificate, issue(made, names=[host]).certificate, host)
    assert ("permitted subtree violation" in said) is refused
    assert made.key == authority("secret").key


def test_a_certificate_ends(tmp_path):
    made = authority("secret")
    certificate = issue(made).certificate
    late = NOW + timedelta(days=DURATION_DAYS, seconds=1)
    assert "expired" in verify(tmp_path, made.certificate, certificate, "localhost", late)


def test_it_lives_for_90_days_at_most_and_is_renewed_in_the_last_third():
    certificate = load(issue(authority("secret")).certificate)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime <= timedelta(days=90, minutes=5)
    assert timedelta(days=RENEW_BEFORE_DAYS) >= lifetime / 3 - timedelta(minutes=5)


def test_its_hosts_and_fingerprint_can_be_read_back():
    pem = issue(authority("secret")).certificate
    assert hosts(load(pem)) == HOSTS
    assert (
        bytes.fromhex(fingerprint(load(pem)))
        == hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    )


def test_every_key_is_new():
    made = authority("secret")
    assert issue(made).key != issue(made).key


def test_every_service_of_a_stack_can_have_a_certificate_in_its_name():
    names = {name.partition("-")[0] for name in PORTS}
    assert names == set(SERVICES)
