"""The scanner finds a secret that is planted, in each kind of place and in each form."""

import gzip
import json
import re
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dynamic_providers.credentials import derive
from services.minio.config import metrics_token
from tests.support.secret_scan import Places, core_limits, secrets_of

SECRET = derive("the seed of this test", "planted")
ODD = "p+ss/word of ünusual kind"  # every encoding changes it
SLEEP = "import sys; print('up', flush=True); sys.stdin.read()"


def places() -> Places:
    return Places({"planted": SECRET, "odd": ODD})


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}\n",
        b64encode(SECRET.encode()).decode(),
        b64encode(f"user:{SECRET}".encode()).decode(),
        b64encode(f"u:{SECRET}".encode()).decode(),
        urlsafe_b64encode(f"admin:{ODD}!".encode()).decode(),
        quote(ODD, safe=""),
        SECRET.encode().hex(),
        json.dumps({"a": {"b": SECRET}}),
    ],
)
def test_every_form_is_found(text):
    found = places()
    found.text("somewhere", f"before {text} after")
    assert len(found.leaks) == 1, text


def test_other_texts_are_not_taken_for_secrets():
    found = places()
    found.text("somewhere", derive("another seed", "planted"))
    found.text("somewhere", b64encode(b"user:another one").decode())
    assert found.leaks == []
    assert SECRET not in repr(found)


def test_a_file_that_others_can_read_is_found(tmp_path):
    for folder, folder_mode, name, mode in (
        ("open", 0o755, "group.txt", 0o640),
        ("open", 0o755, "log.txt", 0o644),
        ("open", 0o755, "private.txt", 0o600),
        ("closed", 0o700, "open-in-closed.txt", 0o644),
    ):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        place.chmod(folder_mode)
        (place / name).write_text(f"it is {SECRET}")
        (place / name).chmod(mode)
    found = places()
    found.readable_files(tmp_path)
    readable = (tmp_path / "open" / name for name in ("group.txt", "log.txt"))
    assert sorted(found.leaks) == [f"planted in {path}" for path in readable]


@pytest.mark.parametrize("place", ["arguments", "environment"])
def test_a_process_is_found(place):
    given = [SECRET] if place == "arguments" else []
    env = {"PASSWORD": SECRET} if place == "environment" else {}
    command = [sys.executable, "-c", SLEEP, "the-process-of-this-test", *given]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline()
        found, owned = places(), places()
        found.processes()
        with owned.watching(re.compile(b"the-process-of-this-test")):
            pass
        owned.processes(re.compile(b"the-process-of-this-test"))
        process.communicate()
    [leak] = found.leaks
    assert leak.startswith(f"planted in {place} of {process.pid} ")
    # An owner may have its secret in its environment, which its user alone can read; arguments
    # can be read by everybody.
    assert len(set(owned.leaks)) == (1 if place == "arguments" else 0)


def test_a_process_that_may_dump_its_memory_is_found():
    command = [sys.executable, "-c", SLEEP, "the-dumping-process"]
    shell = ["/bin/sh", "-c", 'ulimit -S -c 0; exec "$@"', "sh", *command]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        [limit] = core_limits("the-dumping-process").values()
        process.communicate()
    assert limit.startswith("0 ")


def test_generated_values_are_read_from_the_decrypted_state():
    key = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    token = metrics_token(access_key="prometheus", secret_key=SECRET)

    def secret(value: object) -> dict:
        return {"4dabf18193072939515e22adb298388d": "1b47", "plaintext": json.dumps(value)}

    resource = {
        "urn": "urn:pulumi:s::p::t::minio-process",
        "inputs": {
            "secretFiles": secret({"root-password": SECRET, "key.pem": key.decode()}),
            "files": {"config": "plain"},
        },
        "outputs": {"header": [secret(f"Bearer {token}")]},
    }
    state = json.dumps({"deployment": {"resources": [resource]}})
    found = secrets_of(state)
    assert set(found.values()) == {SECRET, token, key.decode().splitlines()[1]}
    assert found["minio-process.inputs.secretFiles.root-password"] == SECRET


@pytest.mark.parametrize("kept", [slice(None), slice(-4)], ids=["whole", "cut off"])
def test_a_compressed_log_is_read(tmp_path, kept):
    log = gzip.compress(b"begin\n") + gzip.compress(f"password={SECRET}\n".encode() * 50)
    (tmp_path / "engine.log").write_bytes(log[kept])
    found = places()
    found.files(tmp_path.iterdir())
    assert found.leaks == [f"planted in {tmp_path / 'engine.log'}"]
