"""Until when the certificates that the services of a stack serve are valid, as a metric.

Asked from the services themselves: a renewed file that nobody has read is no renewal.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

KEPT_S = 300.0  # between two times of asking; Prometheus comes more often
TIMEOUT_S = 5.0
UNKNOWN = -1.0  # no answer, or not one to be trusted
# PostgreSQL speaks TLS when asked to, and says S when it will.
SSL_REQUEST, WILLING = struct.pack("!II", 8, 80877103), b"S"


def not_after(url: str, context: ssl.SSLContext) -> float:
    """Seconds since 1970. Raises OSError when there is no such certificate."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 443
    with socket.create_connection((host, port), TIMEOUT_S) as raw:
        if address.scheme == "postgresql":
            raw.sendall(SSL_REQUEST)
            if raw.recv(1) != WILLING:
                raise ConnectionError(f"{url}: no TLS")
        with context.wrap_socket(raw, server_hostname=host) as secure:
            ends = (secure.getpeercert() or {})["notAfter"]
    return float(ssl.cert_time_to_seconds(str(ends)))


class CertificateMetrics(Collector):
    """addresses: name -> URL. The authorities are those of the environment."""

    def __init__(
        self, addresses: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses = addresses
        self._clock = clock
        self._found: dict[str, float] = {}
        self._asked_at = -KEPT_S

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._clock() - self._asked_at >= KEPT_S:
            self._asked_at = self._clock()
            context = ssl.create_default_context()
            self._found = {name: _asked(url, context) for name, url in self._addresses.items()}
        gauge = GaugeMetricFamily(
            "certificate_expiration_timestamp_seconds",
            "When the certificate that a service serves ends; -1: it cannot be asked or trusted",
            labels=("service",),
        )
        for name, ends in self._found.items():
            gauge.add_metric((name,), ends)
        yield gauge


def _asked(url: str, context: ssl.SSLContext) -> float:
    try:
        return not_after(url, context)
    except OSError:  # ssl.SSLError is one
        return UNKNOWN
