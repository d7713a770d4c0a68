"""One MinIO server: command, environment, and the token that its metrics ask for."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
# 1 January 2100. The token must be the same in every preview, so it cannot expire "in a year";
# it dies with its user, or with the user's key.
METRICS_TOKEN_EXPIRES = 4_102_444_800
METRICS_PATH = "/minio/v2/metrics/cluster"
# The names that MinIO wants in the folder of its certificate. SIGHUP makes it read them again.
CERTIFICATE_FILE, KEY_FILE, CA_FILE = "public.crt", "private.key", "CAs/ca.crt"
RELOAD_SIGNAL = "HUP"


def command(
    *,
    binary: Path,
    data_dir: Path,
    port: int,
    console_port: int,
    host: str = HOST,
    members: Sequence[str] = (),
    certs_dir: Path | None = None,
) -> tuple[str, ...]:
    """host: the address that it listens on. members: the host names of all servers of which this
    is one; what they store is spread over them, with redundancy. certs_dir: with the files named
    above, for TLS."""
    scheme = "https" if certs_dir else "http"
    spread = [f"{scheme}://{member}:{port}{data_dir}" for member in members]
    return (
        *(str(binary), "server", "--quiet"),
        *("--address", f"{host}:{port}", "--console-address", f"{host}:{console_port}"),
        *(("--certs-dir", str(certs_dir)) if certs_dir else ()),
        *(spread if len(spread) > 1 else [str(data_dir)]),
    )


def environment(*, root_user: str, root_password_file: Path) -> dict[str, str]:
    """The user is given by name and not by file on purpose: MinIO ignores a secret's file that
    is missing, and would go on with its default credentials. With a user and no password it
    refuses to start.
    """
    return {
        "MINIO_ROOT_USER": root_user,
        "MINIO_ROOT_PASSWORD_FILE": str(root_password_file),
        "MINIO_UPDATE": "off",
        # It would ask an outside host for a licence's state.
        "MINIO_CALLHOME_ENABLE": "off",
    }


def metrics_token(*, access_key: str, secret_key: str) -> str:
    """Bearer token for METRICS_PATH (RFC 7519, HS512), as `mc admin prometheus generate` makes
    it. Give it to a user of its own with the right admin:Prometheus alone."""
    claims = {"exp": METRICS_TOKEN_EXPIRES, "iss": "prometheus", "sub": access_key}
    signed = f"{_part({'alg': 'HS512', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.digest(secret_key.encode(), signed.encode(), "sha512")
    return f"{signed}.{_base64(signature)}"


def _part(content: Mapping[str, object]) -> str:
    return _base64(json.dumps(content, separators=(",", ":")).encode())


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
