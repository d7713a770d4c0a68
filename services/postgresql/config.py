"""One PostgreSQL server: files, command, first start.

https://www.postgresql.org/docs/17/runtime-config.html
"""

from pathlib import Path

from services.init import Init
from tls.files import CertificateFiles

HOST = "127.0.0.1"
LOOPBACK = f"{HOST}/32"
SUPERUSER = "postgres"

POSTGRESQL_CONF = """\
listen_addresses = '{host}'
port = {port}
# Every client comes through TCP; a socket's path has a limit of 107 bytes that a stack's folder
# may exceed.
unix_socket_directories = ''
hba_file = '{config_dir}/pg_hba.conf'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '128MB'
# Change data capture reads the write-ahead log through replication slots.
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
# A slot that nobody reads must not fill the disk.
max_slot_wal_keep_size = '1GB'
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_connections = on
log_disconnections = on
log_line_prefix = '%m [%p] %u@%d '
# Statements may carry passwords (CREATE ROLE ... PASSWORD): none is logged, not even in errors.
log_statement = 'none'
log_min_error_statement = panic
"""

# SIGHUP makes it read certificate and key again.
SSL_CONF = """\
ssl = on
ssl_min_protocol_version = 'TLSv1.3'
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
"""
RELOAD_SIGNAL = "HUP"

PG_HBA_CONF = """\
# type  database     user  address       method
{type}    all          all   {clients}  scram-sha-256
{type}    replication  all   {clients}  scram-sha-256
"""
NO_CLEAR_TEXT = "hostnossl  all  all  all  reject\n"

# A cluster is made aside and moved into place, so that one that was interrupted half-way does
# not pass for a finished one. Arguments: initdb, the cluster's folder, the password's file.
INITDB = f"""\
rm -rf "$2.new"
"$1" --pgdata "$2.new" --username {SUPERUSER} --pwfile "$3" \
    --auth-host scram-sha-256 --auth-local scram-sha-256 --data-checksums \
    --encoding UTF8 --locale-provider builtin --builtin-locale C.UTF-8 --locale C
mv "$2.new" "$2"
"""


def files(
    *,
    port: int,
    config_dir: Path,
    host: str = HOST,
    clients: str = LOOPBACK,
    tls: CertificateFiles | None = None,
) -> dict[str, str]:
    """Relative path in config_dir -> text.

    host: the address that it listens on. clients: who may connect, as pg_hba.conf names them.
    tls: the certificate to serve with; clients without TLS are refused then.
    """
    conf = POSTGRESQL_CONF.format(host=host, port=port, config_dir=config_dir)
    if tls is None:
        return {
            "postgresql.conf": conf,
            "pg_hba.conf": PG_HBA_CONF.format(type="host", clients=clients),
        }
    return {
        "postgresql.conf": conf + SSL_CONF.format(certificate=tls.certificate, key=tls.key),
        "pg_hba.conf": NO_CLEAR_TEXT + PG_HBA_CONF.format(type="hostssl", clients=clients),
    }


def command(*, home: Path, config_dir: Path, data_dir: Path) -> tuple[str, ...]:
    """Stop it with SIGINT (fast shutdown): SIGTERM waits until every client has left."""
    return (
        str(home / "bin/postgres"),
        *("-D", str(_cluster(data_dir))),
        *("-c", f"config_file={config_dir}/postgresql.conf"),
    )


def init(*, home: Path, data_dir: Path, password_file: Path) -> Init:
    """Makes the database cluster below data_dir, with the superuser's password."""
    cluster = str(_cluster(data_dir))
    arguments = (str(home / "bin/initdb"), cluster, str(password_file))
    return Init(command=("/bin/sh", "-ec", INITDB, "initdb", *arguments), creates=cluster)


def _cluster(data_dir: Path) -> Path:
    return data_dir / "cluster"
