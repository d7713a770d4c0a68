"""Which API, and as whom: kubeconfigs as text, as files, with tokens, commands and faults."""

import base64
import json
import os
import stat

import httpx
import pytest
import yaml

from dynamic_providers.handler import InputError
from plugins.kind import ServiceError
from plugins.kubernetes.client import connect
from plugins.kubernetes.kubeconfig import access


def config(user=None, cluster=None, **context):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}},
            {"name": "other", "cluster": {"server": "https://127.0.0.1:2"}},
        ],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", **context}},
            {"name": "two", "context": {"cluster": "other", "user": "u"}},
        ],
        "current-context": "one",
    }


def sent(auth):
    """The headers of a call."""
    echo = httpx.MockTransport(lambda request: httpx.Response(200, json=dict(request.headers)))
    return httpx.Client(auth=auth, transport=echo).get("https://127.0.0.1:1").json()


def test_text_and_file_say_the_same(tmp_path, monkeypatch):
    text = yaml.safe_dump(config(namespace="lake"))
    file = tmp_path / "config"
    file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    for given in (text, json.dumps(config(namespace="lake")), str(file), None):
        found = access(given, None, None)
        assert (found.server, found.namespace) == ("https://127.0.0.1:1", "lake")


def test_another_context_or_cluster():
    text = yaml.safe_dump(config())
    assert access(text, "two", None).server == "https://127.0.0.1:2"
    assert access(text, None, "other").server == "https://127.0.0.1:2"
    assert access(text, None, None).namespace == "default"
    with pytest.raises(InputError, match="no such context, but one, two"):
        access(text, "three", None)


@pytest.mark.parametrize("text", ["- 1\n- 2", "a: [\nb", "/not/there"])
def test_what_is_no_kubeconfig_is_told(text):
    with pytest.raises(InputError, match="kubeconfig"):
        access(text, None, None)


def test_a_token_is_sent_and_not_shown():
    found = access(yaml.safe_dump(config({"token": "to-ken"})), None, None)
    assert sent(found.auth)["authorization"] == "Bearer to-ken"
    assert "to-ken" not in repr(found) and found.secrets == ("to-ken",)


def test_a_token_file_is_found_beside_the_kubeconfig(tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    (tmp_path / "config").write_text(yaml.safe_dump(config({"tokenFile": "token"})))
    found = access(str(tmp_path / "config"), None, None)
    assert sent(found.auth)["authorization"] == "Bearer from-file"


def test_a_command_gives_the_token(tmp_path):
    command = tmp_path / "login"
    command.write_text(
        '#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 3 ;; esac\n'
        'echo "{\\"status\\": {\\"token\\": \\"$1-$WHO\\","\n'
        'echo "\\"expirationTimestamp\\": \\"2001-01-01T00:00:00Z\\"}}"\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(command),
            "args": ["given"],
            "env": [{"name": "WHO", "value": "me"}],
        }
    }
    found = access(yaml.safe_dump(config(user)), None, None)
    assert sent(found.auth)["authorization"] == "Bearer given-me"
    command.write_text("#!/bin/sh\necho no rights >&2\nexit 1\n")
    with pytest.raises(ServiceError, match="gave no token .*no rights"):
        sent(found.auth)  # the first token has ended, so it is asked again


def test_certificates_that_cannot_be_used_are_told():
    data = base64.b64encode(b"not a certificate").decode()
    text = yaml.safe_dump(config(cluster={"certificate-authority-data": data}))
    with pytest.raises(InputError, match="cannot be used"):
        access(text, None, None)


def test_settings_of_the_sdk():
    text = yaml.safe_dump(config())
    found = connect(
        {
            "kubeconfig": text,
            "namespace": "lake",
            "enableServerSideApply": "true",
            "enablePatchForce": "true",
            "enableSecretMutable": "true",
            "version": "4.34.2",
        }
    )
    assert (found.namespace, found.force, found.mutable) == ("lake", True, {"Secret"})
    with pytest.raises(InputError, match="enableServerSideApply"):
        connect({"kubeconfig": text, "enableServerSideApply": "false"})
    with pytest.raises(InputError, match="renderYamlToDirectory"):
        connect({"kubeconfig": text, "renderYamlToDirectory": str(os.sep)})
