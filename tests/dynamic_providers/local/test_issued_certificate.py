"""Certificates for machines that Pulumi cannot write to."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.local import issued_certificate
from dynamic_providers.local.resources import IssuedCertificateProvider
from tls.authority import authority, fingerprint, hosts, load

SIGNER = authority("the credential of this test")
PASSWORD = "opens the keystore"


class Signing(IssuedCertificateProvider):
    client = SIGNER


def wanted(**changes) -> dict:
    return issued_certificate.normalize(
        {
            "name": "web",
            "authority": fingerprint(load(SIGNER.certificate)),
            "hosts": ["localhost", "127.0.0.1", "localhost"],
            **changes,
        }
    )


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


def test_the_certificate_and_its_key_are_a_pair_of_the_authority():
    spec = wanted()
    assert issued_certificate.normalize(spec) == spec
    outputs = issued_certificate.create(SIGNER, spec).outputs
    made = load(outputs["certificate"])
    assert SIGNER.issued(made)
    assert hosts(made) == ["127.0.0.1", "localhost"]
    assert load_pem_private_key(outputs["key"].encode(), None).public_key() == made.public_key()
    assert outputs["keystore"] == ""
    left = datetime.fromisoformat(outputs["notAfter"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_a_keystore_holds_the_same_and_opens_with_its_password_alone():
    outputs = issued_certificate.create(SIGNER, wanted(keystorePassword=PASSWORD)).outputs
    keystore = b64decode(outputs["keystore"])
    key, certificate, _ = pkcs12.load_key_and_certificates(keystore, PASSWORD.encode())
    assert certificate == load(outputs["certificate"])
    assert key.public_key() == certificate.public_key()
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(keystore, b"another")


def test_a_preview_asks_for_a_renewal_in_the_last_third_and_not_before():
    fresh = issued_certificate.renewed({}, wanted())
    assert issued_certificate.renewed(fresh, wanted()) == fresh
    young = {**fresh, "renewedAt": days_ago(59)}
    assert issued_certificate.renewed(young, wanted()) == young
    due = {**fresh, "renewedAt": days_ago(60)}
    asked = issued_certificate.renewed(due, wanted())
    assert {key for key in asked if asked[key] != due[key]} == {"renewedAt"}


@pytest.mark.parametrize(
    "change", [{"authority": "another"}, {"hosts": ["elsewhere"]}, {"authority": UNKNOWN}]
)
def test_whatever_else_changes_makes_the_time_that_it_is_valid_begin_anew(change):
    known = {**wanted(), "renewedAt": days_ago(10)}
    assert issued_certificate.renewed(known, wanted(**change))["renewedAt"] > days_ago(1)


def test_a_renewal_makes_another_key():
    spec = wanted()
    first = issued_certificate.create(SIGNER, spec).outputs
    second = issued_certificate.update(SIGNER, "web", spec, spec).outputs
    assert first["key"] != second["key"]


def test_a_refresh_keeps_what_is_recorded_and_nothing_can_be_imported():
    provider = Signing()
    made = provider.create(wanted(keystorePassword=PASSWORD))
    read = provider.read(made.id, made.outs)
    assert read.outs == made.outs
    assert read.id == made.id
    assert provider.read("web", {}).id == ""


def test_wrong_inputs_are_named():
    with pytest.raises(InputError, match="renewBeforeDays: 10: expected a third of 90"):
        wanted(renewBeforeDays=10)
    with pytest.raises(InputError, match="name: 'No'"):
        wanted(name="No")
