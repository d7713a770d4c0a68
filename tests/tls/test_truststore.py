"""The truststore for Java, read by Java itself."""

import subprocess

import pytest

from tls.authority import authority, fingerprint, load
from tls.truststore import truststore
from tools.paths import Paths


@pytest.fixture(scope="module")
def keytool():
    tool = Paths.find().opt / "elasticsearch/jdk/bin/keytool"
    if not tool.exists():
        pytest.skip(f"{tool} is missing: install it with `bin/dataflow test`")
    return tool


def test_java_reads_it_without_a_password(tmp_path, keytool):
    made = authority("secret", "other")
    file = tmp_path / "ca.p12"
    file.write_bytes(truststore(made.trusted))
    command = [keytool, "-list", "-v", "-keystore", file, "-storetype", "PKCS12"]
    done = subprocess.run(command, input="", capture_output=True, text=True)
    assert done.stdout.count("Entry type: trustedCertEntry") == 2
    for certificate in (made.certificate, authority("other").certificate):
        assert fingerprint(load(certificate)) in done.stdout.lower().replace(":", "")


def test_it_is_the_same_each_time():
    certificate = authority("secret").certificate
    assert truststore(certificate) == truststore(certificate)
    assert truststore(certificate) != truststore(authority("other").certificate)


def test_what_is_no_certificate_is_refused():
    with pytest.raises(ValueError, match="PEM"):
        truststore("nothing")
