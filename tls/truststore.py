"""Trusted authorities for Java, which reads no PEM there."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

ALIAS = "dataflow-{}"
SEQUENCE = b"\x30"


def truststore(trusted: str) -> bytes:
    """PKCS 12 with the certificates (PEM) to be trusted: no password, and the same bytes each
    time, so that a preview is empty. Java reads it since JDK-8076190.

    Raises ValueError when there is none.
    """
    entries = [
        pkcs12.PKCS12Certificate(certificate, ALIAS.format(number).encode())
        for number, certificate in enumerate(x509.load_pem_x509_certificates(trusted.encode()))
    ]
    made = pkcs12.serialize_java_truststore(entries, NoEncryption())
    # version, content, and a MAC, whose key would be the password: it is optional, has a random
    # salt, and proves nothing here.
    version, content, _mac = _members(made)
    return _sequence(version + content)


def _members(sequence: bytes) -> Iterator[bytes]:
    """The DER elements of a SEQUENCE."""
    start, end = _content(sequence, 0)
    while start < end:
        following = _content(sequence, start)[1]
        yield sequence[start:following]
        start = following


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:  # that many bytes of length follow
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    return start, start + length


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return SEQUENCE + bytes([size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return SEQUENCE + bytes([0x80 | len(length)]) + length + content
