"""`python -m services.postgresql.ready PORT`: exit status 0 once the server takes connections.

The distribution in use has no pg_isready. While it recovers, a server has its port open but
refuses every session: an open port is not enough.
"""

import sys

from psycopg import pq

from services.postgresql.config import HOST


def is_ready(port: int) -> bool:
    conninfo = f"host={HOST} port={port} connect_timeout=3"
    return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1])) else 1)
