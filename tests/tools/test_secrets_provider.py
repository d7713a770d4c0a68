"""Who encrypts the secrets of a stack: the real engine, beside a key server of our own."""

from base64 import b64decode

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from dynamic_providers.credentials import SEED_KEY
from tests.fakes.serving import serving
from tools.cli import app
from tools.paths import ROOT
from tools.stack import StackError

KEY = "hashivault://key-of-the-stack"
TOKEN = "token-of-the-key-server"


class KeyServer:
    """The transit engine of Vault: https://developer.hashicorp.com/vault/api-docs/secret/transit"""

    def __init__(self) -> None:
        self.texts: list[str] = []  # "encrypted" is the number of the text
        routes = [
            Route("/v1/transit/encrypt/key-of-the-stack", self.encrypt, methods=["PUT", "POST"]),
            Route("/v1/transit/decrypt/key-of-the-stack", self.decrypt, methods=["PUT", "POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def encrypt(self, request: Request) -> JSONResponse:
        assert request.headers["X-Vault-Token"] == TOKEN
        self.texts.append((await request.json())["plaintext"])
        return JSONResponse({"data": {"ciphertext": f"vault:v1:{len(self.texts) - 1}"}})

    async def decrypt(self, request: Request) -> JSONResponse:
        assert request.headers["X-Vault-Token"] == TOKEN
        number = int((await request.json())["ciphertext"].rpartition(":")[2])
        return JSONResponse({"data": {"plaintext": self.texts[number]}})


@pytest.fixture
def key_server(monkeypatch) -> KeyServer:
    server = KeyServer()
    with serving(server.app) as url:
        monkeypatch.setenv("VAULT_SERVER_URL", url)
        monkeypatch.setenv("VAULT_SERVER_TOKEN", TOKEN)
        yield server


@pytest.mark.engine
@pytest.mark.parametrize("how", ["option", "settings file"])
def test_a_key_server_encrypts_the_secrets(stack, key_server, how):
    if how == "option":
        stack.create(KEY)
    else:
        stack.config_file.write_text(f"secretsprovider: {KEY}\n")
        stack.create()
    settings = yaml.safe_load(stack.config_file.read_text())
    assert settings["secretsprovider"] == KEY
    assert "encryptionsalt" not in settings  # no passphrase is involved
    seed = stack.answer("config", "get", SEED_KEY).strip()
    assert len(seed) >= 32
    assert seed not in stack.config_file.read_text()
    # The engine encrypts with a key of its own, which alone goes to the server.
    assert key_server.texts and seed.encode() not in map(b64decode, key_server.texts)
    stack.create(KEY)  # again, as `up` does each time
    assert stack.answer("config", "get", SEED_KEY).strip() == seed


@pytest.mark.engine
def test_the_provider_is_changed_by_the_engine_and_never_by_up(stack, key_server):
    stack.create()
    assert "encryptionsalt" in stack.config_file.read_text()
    seed = stack.answer("config", "get", SEED_KEY)
    with pytest.raises(StackError, match="has 'passphrase': change it with .* change-secrets-"):
        stack.create(KEY)
    stack.answer("stack", "change-secrets-provider", KEY)
    stack.create()
    assert stack.answer("config", "get", SEED_KEY) == seed
    assert yaml.safe_load(stack.config_file.read_text())["secretsprovider"] == KEY


@pytest.mark.parametrize("url", ["hashvault://key", "awskms://", "vault", "-"])
def test_an_unknown_provider_is_refused_before_anything_is_made(url):
    done = CliRunner().invoke(app, ["up", "--stack", "nowhere", "--secrets-provider", url])
    assert done.exit_code == 1
    assert "expected passphrase, awskms://KEY, azurekeyvault://KEY" in " ".join(
        done.output.split()
    )
    assert not (ROOT / "Pulumi.nowhere.yaml").exists()
