"""The certificate authority of a stack, and the certificates that it issues.

Everybody who has the authority's secret has the same authority, byte for byte: its key is derived
from the secret and its certificate is signed without randomness. So a client can verify a stack
before a single file of it exists, and a preview knows the certificate. Keys of services are
random and stay where they were made.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SECRET_NAME = "tls-authority"  # noqa: S105 - of the credential that it is derived from
CURVE = ec.SECP256R1()
# NIST P-256's, FIPS 186-5, A.2.1: 64 bits more than the order has leave no bias to speak of.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY_MATERIAL_BYTES = 40
# Fixed, as the certificate must be the same every day. The end of trust is a new secret.
VALID_FROM, VALID_UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
# What the authority can speak for: this machine, services by their name on a container network,
# and the names of Kubernetes services. A stolen key is of no use against any other host.
SERVICES = (
    *("airbyte", "dremio", "elasticsearch", "minio", "pipeline", "postgres"),
    *("prometheus", "superset"),
)
NAMES = ("localhost", *SERVICES, "svc", "svc.cluster.local")
NETWORK = ipaddress.ip_network("127.0.0.0/8")

DURATION_DAYS = 90
RENEW_BEFORE_DAYS = 30  # a third of the duration
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, repr=False)
class Issued:
    """A certificate and its key as PEM. No repr: it would show the key."""

    certificate: str
    key: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Authority:
    """What signs the certificates of one stack. _others: certificates in PEM."""

    _key: ec.EllipticCurvePrivateKey
    _certificate: x509.Certificate
    _others: tuple[str, ...] = ()

    @property
    def certificate(self) -> str:
        """PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def trusted(self) -> str:
        """PEM: what clients trust, the same whichever of the authorities signs."""
        return "".join(sorted({self.certificate, *self._others}))

    @property
    def key(self) -> str:
        """PEM (PKCS 8) of the key that signs, for an issuer elsewhere. A secret."""
        return _pem(self._key)

    def issue(self, name: str, hosts: Sequence[str], *, now: datetime, days: int) -> Issued:
        """A new key and its certificate for `hosts` (DNS names and IP addresses), for servers."""
        key = ec.generate_private_key(CURVE)
        certificate = (
            _builder(name, key.public_key(), now - CLOCK_SKEW, now + timedelta(days=days))
            .serial_number(x509.random_serial_number())
            .issuer_name(self._certificate.subject)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, hosts)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(certificate=pem, key=_pem(key))

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether `certificate` is signed by this authority."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def authority(secret: str, *others: str, domain: str = "") -> Authority:
    """The authority of that secret: the credential SECRET_NAME of a stack.

    others: secrets of authorities that clients trust too, while one takes the place of another.
    domain: below which the stack's services are published; it can speak for names there too.
    """
    key = ec.derive_private_key(
        int.from_bytes(_derived(secret, b"key", KEY_MATERIAL_BYTES)) % (ORDER - 1) + 1, CURVE
    )
    public = key.public_key()
    # Two authorities under one name would be told apart by their signature alone, and some
    # clients try only the first of a name.
    mark = hashlib.sha256(_spki(public)).hexdigest()[:8]
    certificate = (
        _builder(f"dataflow stack CA {mark}", public, VALID_FROM, VALID_UNTIL)
        .serial_number(int.from_bytes(_derived(secret, b"serial", 16)) >> 1)
        .issuer_name(_name(f"dataflow stack CA {mark}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.NameConstraints(
                permitted_subtrees=[
                    *(x509.DNSName(name) for name in (*NAMES, *filter(None, [domain]))),
                    x509.IPAddress(NETWORK),
                ],
                excluded_subtrees=None,
            ),
            critical=True,
        )
        .sign(key, SHA256(), ecdsa_deterministic=True)
    )
    trusted_too = tuple(authority(other, domain=domain).certificate for other in others)
    return Authority(_key=key, _certificate=certificate, _others=trusted_too)


def load(certificate: str) -> x509.Certificate:
    """Raises ValueError when it is not a certificate in PEM."""
    return x509.load_pem_x509_certificate(certificate.encode())


def hosts(certificate: x509.Certificate) -> list[str]:
    """DNS names and IP addresses that a certificate is for, sorted."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(
        [
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ]
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as browsers and `openssl x509 -fingerprint -sha256` show it, without colons."""
    return certificate.fingerprint(SHA256()).hex()


def _builder(
    name: str, public: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _derived(secret: str, purpose: bytes, length: int) -> bytes:
    info = b"dataflow certificate authority " + purpose
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret.encode())


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
