"""Where a service finds its certificate. Standard library alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    def stamp(self) -> tuple[int, int]:
        """Another one once the certificate has been renewed."""
        try:
            found = self.certificate.stat()
        except OSError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def config(self) -> dict[str, str]:
        """As it stands under `tls` in the JSON files of this project's services."""
        return {"certificateFile": str(self.certificate), "keyFile": str(self.key)}


@dataclass(frozen=True, kw_only=True)
class CertificateFiles(KeyPair):
    """With the authority that issued it."""

    ca: Path


def trust_environment(ca_file: Path) -> dict[str, str]:
    """Variables by which programs find the authority that vouches for the services of a stack:
    OpenSSL and Go (beside the machine's own folder of authorities), Python's requests, libpq."""
    return {
        "SSL_CERT_FILE": str(ca_file),
        "REQUESTS_CA_BUNDLE": str(ca_file),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(ca_file),
    }


def key_pair(config: Mapping[str, object] | None) -> KeyPair | None:
    """What `KeyPair.config` gave. Raises ValueError for another shape."""
    if config is None:
        return None
    if not isinstance(config, Mapping) or set(config) != {"certificateFile", "keyFile"}:
        raise ValueError("tls: expected certificateFile and keyFile")
    files = [Path(str(config[name])) for name in ("certificateFile", "keyFile")]
    for file in files:
        if not file.is_absolute():
            raise ValueError(f"tls: {str(file)!r}: expected an absolute path")
    return KeyPair(certificate=files[0], key=files[1])
