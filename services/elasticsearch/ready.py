"""`python -m services.elasticsearch.ready PORT PASSWORD_FILE [CA_FILE]`: exit status 0 once
Elasticsearch can be administered. The first file holds the superuser's password, the second the
authority that vouches for the server; without it, it is asked over clear text.

An open port is not enough: log-ins fail until the shard of the security index has started, both
on a restart and in the moment after the very first role or user made that index. So this makes
it, by setting the superuser's password to what it is, and waits with the others.
"""

import socket
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from services.elasticsearch.config import HOST, SUPERUSER
from tls.contexts import client_context

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
# Of a new index, whose primary shard is still starting, Elasticsearch says yellow: only an active
# shard can be asked for a password.
SECURITY_INDEX = "/_cluster/health/.security?wait_for_active_shards=1&timeout=0s"


def ready(client: "httpx.Client", password: str) -> bool:
    """client: with the superuser's credentials. Raises httpx.HTTPError when nobody listens."""
    if not client.get("/_cluster/health?wait_for_status=yellow&timeout=0s").is_success:
        return False
    if client.get(SECURITY_INDEX).status_code == HTTPStatus.OK:
        return client.get("/_security/_authenticate").is_success
    client.put(f"/_security/user/{SUPERUSER}/_password", json={"password": password})
    return False  # the next probe sees whether the index is there


def main() -> int:
    port, password_file, *ca_file = sys.argv[1:]
    try:
        socket.create_connection((HOST, int(port)), TIMEOUT_S).close()
    except OSError:
        return 1
    # Most probes end above, and the client takes longer to import than all the rest.
    import httpx

    password = Path(password_file).read_text().strip()
    url = f"{'https' if ca_file else 'http'}://{HOST}:{port}"
    verify = client_context(Path(ca_file[0])) if ca_file else True
    auth = (SUPERUSER, password)
    with httpx.Client(base_url=url, auth=auth, timeout=TIMEOUT_S, verify=verify) as client:
        try:
            return 0 if ready(client, password) else 1
        except httpx.HTTPError:
            return 1


if __name__ == "__main__":
    sys.exit(main())
