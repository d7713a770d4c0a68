"""PostgreSQL: metadata of the other services, and the sample source database `shop`.

Creates the server, then per `Owner` a role and a database that it owns, so that no service can
read another's tables.
"""

from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql

from components.context import Context
from components.options import child_of
from components.runtime.service import Archive, Certificate, Endpoint, Readiness, Service
from services.postgresql import config as postgresql_config

CONNECTIONS_PER_ROLE = 20  # five roles of them: fits the server's default of 100

CERTIFICATE = Certificate(reload_signal=postgresql_config.RELOAD_SIGNAL)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A role, and the databases that it owns: of its own name where no other is given.
    connections: how many it may have at once."""

    role: str
    databases: tuple[str, ...] = ()
    connections: int = CONNECTIONS_PER_ROLE


@dataclass(frozen=True, kw_only=True)
class PostgresArgs:
    """archive: where its log and backups go, on runtimes that make them."""

    context: Context
    owners: tuple[Owner, ...]
    archive: Archive


class Postgres(pulumi.ComponentResource):
    endpoint: Endpoint
    provider: postgresql.Provider
    databases: dict[str, postgresql.Database]

    def __init__(
        self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:storage:Postgres", name, None, opts)
        self._args = args
        self._name = name
        secret = args.context.credentials.secret
        running = args.context.runtime.service(_service(args), parent=self)
        self.endpoint = running.endpoints["sql"]
        self.provider = postgresql.Provider(
            f"{name}-provider",
            host=self.endpoint.published.host,
            port=self.endpoint.published.port,
            username=args.context.runtime.administrator,
            password=secret("postgres-superuser"),
            sslmode="disable" if self.endpoint.published_ca_file is None else "verify-full",
            sslrootcert=self.endpoint.published_ca_file,
            opts=child_of(self, depends_on=[running.resource]),
        )
        self.databases = {}
        for owner in args.owners:
            role = self.role(owner.role, connections=owner.connections)
            for database in owner.databases or (owner.role,):
                self.databases[database] = self._database(database, role)
        self.register_outputs({"host": self.endpoint.host, "port": self.endpoint.port})

    def role(self, role: str, *, connections: int = CONNECTIONS_PER_ROLE) -> postgresql.Role:
        """A login role without rights of its own; its password is the credential of its name."""
        return postgresql.Role(
            f"{self._name}-role-{role}",
            name=role,
            login=True,
            password=self._args.context.credentials.secret(f"postgres-{role}"),
            connection_limit=connections,
            # With keepData the role's database stays, and a role that owns one cannot be dropped.
            opts=child_of(self, provider=self.provider, keep=self._args.context.keep_data),
        )

    def _database(self, database: str, owner: postgresql.Role) -> postgresql.Database:
        return postgresql.Database(
            f"{self._name}-database-{database}",
            name=database,
            owner=owner.name,
            opts=child_of(self, provider=self.provider, keep=self._args.context.keep_data),
        )

    def read_grants(
        self, role: postgresql.Role, database: str, *, tables_from: pulumi.Resource
    ) -> list[pulumi.Resource]:
        """SELECT on all tables of a database's public schema, once `tables_from` made them."""
        rights = {"database": ["CONNECT"], "schema": ["USAGE"], "table": ["SELECT"]}
        return [
            postgresql.Grant(
                f"{self._name}-grant-{database}-{kind}",
                database=self.databases[database].name,
                role=role.name,
                object_type=kind,
                schema=None if kind == "database" else "public",
                privileges=privileges,
                opts=child_of(self, provider=self.provider, depends_on=[tables_from]),
            )
            for kind, privileges in rights.items()
        ]


def _service(args: PostgresArgs) -> Service:
    context = args.context
    directory = context.runtime.directory("postgres")
    home = context.runtime.installed("postgresql")
    config, data = directory / "config", directory / "data"
    ports = context.runtime.ports("postgres")
    tls = context.runtime.certificate_files("postgres", CERTIFICATE)
    return Service(
        name="postgres",
        program="postgresql",
        command=postgresql_config.command(home=home, config_dir=config, data_dir=data),
        files=postgresql_config.files(
            host=context.runtime.bind_host,
            clients=context.runtime.clients,
            port=ports["sql"],
            config_dir=config,
            tls=tls,
        ),
        secret_files={"superuser-password": context.credentials.secret("postgres-superuser")},
        init=(
            postgresql_config.init(
                home=home, data_dir=data, password_file=config / "superuser-password"
            ),
        ),
        ports=ports,
        size=context.sizes["postgres"],
        archive=args.archive,
        connects_to=(args.archive.store,),
        certificate=CERTIFICATE,
        readiness=Readiness(
            kind="command",
            command=context.runtime.probe("postgresql", str(ports["sql"])),
        ),
        stop_signal="INT",  # fast shutdown: TERM would wait until every client has left
        stop_timeout_s=60,
    )
