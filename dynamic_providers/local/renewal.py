"""`python -m dynamic_providers.local.renewal STACK_DIR SECRET_FILE`: renews the certificates of a
stack that are due, for as long as it runs. SECRET_FILE holds the authority's secret.

It runs as the user of Pulumi: services must not be able to sign. It looks every hour, so a
machine that slept loses an hour and no day.
"""

import sys
import time
from pathlib import Path

from dynamic_providers.local import certificate
from tls.authority import Authority, authority

INTERVAL_S = 3600.0


def renew_all(signer: Authority, stack_dir: str) -> list[str]:
    """Names of the services whose certificates could not be renewed."""
    failed = []
    for spec in certificate.records(stack_dir):
        try:
            ends = certificate.renew(signer, spec).not_valid_after_utc
            print(f"{spec['name']}: valid until {ends:%Y-%m-%d %H:%M} UTC", flush=True)
        except Exception as fault:  # of one service: the others must not expire with it
            print(f"{spec['name']}: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
            failed.append(spec["name"])
    return failed


def main(arguments: list[str]) -> None:
    stack_dir, secret_file = arguments
    signer = authority(Path(secret_file).read_text())
    while True:
        renew_all(signer, stack_dir)
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main(sys.argv[1:])
