"""Airbyte Community on a cluster: control plane, Temporal, and connectors as pods of their own.

The product starts each connector in a pod, so it runs on clusters alone (docs/adr/0010). Names of
variables are those of the vendor's chart. They are set for every part alike, as there: what a part
does not know it does not read.
https://docs.airbyte.com/platform/understanding-airbyte/high-level-view
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pulumi
import yaml

from components.runtime.catalog import AIRBYTE_INNER_PORT
from components.runtime.containers import SHELL
from components.runtime.service import (
    GATEWAY,
    Bucket,
    Certificate,
    Endpoint,
    Filled,
    Job,
    Keystore,
    Launched,
    Readiness,
    Runtime,
    Service,
)
from components.sizing import Size

SERVER = "airbyte"
BOOTLOADER = "airbyte-bootloader"
WORKLOAD_API = "airbyte-workload-api"
WORKER = "airbyte-worker"
CRON = "airbyte-cron"
LAUNCHER = "airbyte-workload-launcher"
CONNECTOR = "airbyte-connector"
TEMPORAL = "airbyte-temporal"
TEMPORAL_SCHEMA = "airbyte-temporal-schema"
TEMPORAL_NAMESPACE = "airbyte-temporal-namespace"
PARTS = (SERVER, WORKER, LAUNCHER, WORKLOAD_API, CRON, TEMPORAL, CONNECTOR)

# Programs, as services/images.yaml names them.
SERVER_PROGRAM = "airbyte-server"
TEMPORAL_PROGRAM = "temporal"
LAUNCHED_IMAGES: Mapping[str, str] = {
    "CONTAINER_ORCHESTRATOR_IMAGE": "airbyte-container-orchestrator",
    "CONNECTOR_SIDECAR_IMAGE": "airbyte-connector-sidecar",
    "WORKLOAD_INIT_IMAGE": "airbyte-workload-init-container",
}

TEMPORAL_ROLE = "temporal"
TEMPORAL_DATABASES = {"temporal": "temporal", "visibility": "temporal_visibility"}
WORKLOAD_API_PROGRAM = "airbyte-workload-api-server"
PROGRAMS = (
    *(BOOTLOADER, CRON, LAUNCHER, SERVER_PROGRAM, TEMPORAL_PROGRAM, WORKER, WORKLOAD_API_PROGRAM),
    *LAUNCHED_IMAGES.values(),
)

TEMPORAL_CONNECTIONS = 5  # of each of its four services, to each of its two databases
POOL = 5  # connections of one server
# Folders of the bucket that the product writes to; it lets nobody choose them.
PREFIXES = ("activity-payloads", "job-logging", "state", "workload")

TRUSTS_ONE = "org.postgresql.ssl.SingleCertValidatingFactory"
START_TIMEOUT_S = 600  # a JVM, and migrations before it
BOOT_TIMEOUT_S = 1800  # the first start fills the database with the registry of connectors
WORKER_PORT, LAUNCHER_PORT = 9000, 8016
KEYSTORE = "keystore.p12"
AUTH_SECRET = "airbyte-auth-secrets"  # noqa: S105 - a name
DATA_PLANE = {
    "DATAPLANE_CLIENT_ID": "dataplane-client-id",
    "DATAPLANE_CLIENT_SECRET": "dataplane-client-secret",
}
SECRETS = "env"  # folder of secret files that are called like the variables they become
# The product reads its secrets from variables: they are set from files where it starts, so that
# they are in no description of a pod.
START = """\
for file in "$0"/*; do
    export "${file##*/}=$(cat "$file")"
done
exec "$@"
"""
BASH = ("/bin/bash", "-ec")
REACHED = "exec 3<>/dev/tcp/$0/$1"
HEAP = "-XX:MaxRAMPercentage=75.0"
CPU_BURST = 2  # as for every other pod
CONTAINERS = 3  # of the pod of a sync: source, destination, and what stands between them

SCHEMA_SCRIPT = """\
for pair in "$@"; do
    folder="/etc/temporal/schema/postgresql/v12/${pair%%=*}/versioned"
    tool="temporal-sql-tool --plugin postgres12 --ep $SQL_HOST -p $SQL_PORT -u $SQL_USER"
    tool="$tool --db ${pair#*=}"
    $tool setup-schema -v 0.0
    $tool update-schema -d "$folder"
done
"""
NAMESPACE_SCRIPT = """\
temporal operator namespace describe default ||
    temporal operator namespace create --retention 24h default
"""
# Discovered catalogs of large databases are larger than Temporal's own limit.
DYNAMIC_CONFIG = {
    "limit.blobSize.error": [{"value": 15 * 1024 * 1024}],
    "limit.blobSize.warn": [{"value": 10 * 1024 * 1024}],
    "frontend.enableUpdateWorkflowExecution": [{"value": True}],
}


@dataclass(frozen=True, kw_only=True)
class Airbyte:
    """database: PostgreSQL, where the roles `user` and TEMPORAL_ROLE own their databases.
    store: where logs, state and outputs go, below PREFIXES.
    client_id, client_secret: of the application that Pulumi and the pipeline log in as.
    password: of the first user. signature: signs the tokens of all log-ins.
    authority: what certifies `database`, in PEM. keystore_password: of the server's certificate.
    sizes: of PARTS."""

    database: Endpoint
    user: str
    database_password: pulumi.Output[str]
    temporal_password: pulumi.Output[str]
    store: Bucket
    client_id: str
    client_secret: pulumi.Output[str]
    password: pulumi.Output[str]
    signature: pulumi.Output[str]
    authority: pulumi.Output[str]
    keystore_password: pulumi.Output[str]
    sizes: Mapping[str, Size]

    def parts(self, runtime: Runtime, stand_in: Service) -> Sequence[Service | Job]:
        if not runtime.clustered:
            raise ValueError(f"service {stand_in.name!r}: the product runs on clusters alone")
        parts = _Parts(self, runtime)
        return [
            parts.temporal_schema(),
            parts.temporal(),
            parts.temporal_namespace(),
            parts.bootloader(),
            parts.server(stand_in),
            parts.workload_api(),
            parts.worker(),
            parts.cron(),
            parts.launcher(),
        ]


@dataclass(frozen=True)
class _Parts:
    product: Airbyte
    runtime: Runtime

    # Temporal

    def temporal_schema(self) -> Job:
        database = self.product.database
        return Job(
            name=TEMPORAL_SCHEMA,
            program=TEMPORAL_PROGRAM,
            command=(
                *self._from_secrets(TEMPORAL_SCHEMA),
                *(*SHELL, SCHEMA_SCRIPT, "schema"),
                *(f"{kind}={name}" for kind, name in TEMPORAL_DATABASES.items()),
            ),
            environment={
                "SQL_HOST": database.host,
                "SQL_PORT": str(database.port),
                "SQL_USER": TEMPORAL_ROLE,
                "SQL_TLS": "true",
                **_sql_tool_trust(database),
            },
            secret_files={f"{SECRETS}/SQL_PASSWORD": self.product.temporal_password},
            connects_to=("postgres",),
        )

    def temporal(self) -> Service:
        ports = self.runtime.ports(TEMPORAL)
        directory = self.runtime.directory(TEMPORAL)
        dynamic = directory / "config" / "dynamic.yaml"
        return Service(
            name=TEMPORAL,
            program=TEMPORAL_PROGRAM,
            command=(
                str(self.runtime.installed(TEMPORAL_PROGRAM) / "temporal-server"),
                *("--root", str(directory), "--config", "config", "--env", "server", "start"),
            ),
            files={"dynamic.yaml": yaml.safe_dump(DYNAMIC_CONFIG)},
            secret_files={
                "server.yaml": self.product.temporal_password.apply(
                    lambda password: yaml.safe_dump(
                        _temporal_settings(
                            self.product.database, password, ports["frontend"], str(dynamic)
                        )
                    )
                )
            },
            ports=ports,
            size=self.product.sizes[TEMPORAL],
            readiness=Readiness(kind="tcp", port=ports["frontend"], timeout_s=START_TIMEOUT_S),
            connects_to=("postgres",),
        )

    def temporal_namespace(self) -> Job:
        return Job(
            name=TEMPORAL_NAMESPACE,
            program=TEMPORAL_PROGRAM,
            command=(*SHELL, NAMESPACE_SCRIPT),
            environment={"TEMPORAL_ADDRESS": self._address(TEMPORAL, "frontend")},
            connects_to=(TEMPORAL,),
        )

    # The control plane

    def bootloader(self) -> Job:
        """Migrates the database, and registers the cluster as the place where connectors run."""
        return Job(
            name=BOOTLOADER,
            program=BOOTLOADER,
            command=self._command(BOOTLOADER),
            environment=self._environment(BOOTLOADER),
            secret_files={**self._secrets(), **self._log_ins()},
            fills=AUTH_SECRET,
            connects_to=("postgres",),
            timeout_s=BOOT_TIMEOUT_S,
        )

    def server(self, stand_in: Service) -> Service:
        """Speaks TLS to all but the product's own parts: its connectors' pods are given no file,
        so they could not verify it."""
        service = self._service(
            SERVER,
            SERVER_PROGRAM,
            Readiness(
                kind="http",
                port=stand_in.ports["api"],
                path="/api/v1/health",
                timeout_s=START_TIMEOUT_S,
            ),
            connects_to=("minio", "postgres", TEMPORAL),
        )
        keystore = Keystore(name=KEYSTORE, password=self.product.keystore_password)
        certificate = Certificate(keystore=keystore, restarts=True)
        secret_files = {**self._secrets(), **self._log_ins()}
        environment = {**service.environment, "MICRONAUT_SERVER_PORT": str(AIRBYTE_INNER_PORT)}
        if tls := self.runtime.certificate_files(SERVER, certificate):
            environment |= {
                "MICRONAUT_SERVER_DUAL_PROTOCOL": "true",
                "MICRONAUT_SERVER_SSL_ENABLED": "true",
                "MICRONAUT_SERVER_SSL_PORT": str(stand_in.ports["api"]),
                "MICRONAUT_SERVER_SSL_KEY_STORE_PATH": (
                    f"file:{tls.certificate.with_name(KEYSTORE)}"
                ),
                "MICRONAUT_SERVER_SSL_KEY_STORE_TYPE": "PKCS12",
            }
            secret_files |= _as_variables(
                MICRONAUT_SERVER_SSL_KEY_STORE_PASSWORD=self.product.keystore_password
            )
        return replace(
            service,
            environment=environment,
            secret_files=secret_files,
            certificate=certificate,
            audit=stand_in.audit,
            ports={**stand_in.ports, "inner": AIRBYTE_INNER_PORT},
        )

    def workload_api(self) -> Service:
        """Where work waits until a launcher takes it."""
        ports = self.runtime.ports(WORKLOAD_API)
        ready = Readiness(kind="tcp", port=ports["http"], timeout_s=START_TIMEOUT_S)
        service = self._service(
            WORKLOAD_API,
            WORKLOAD_API_PROGRAM,
            ready,
            connects_to=("minio", "postgres", TEMPORAL),
        )
        return replace(service, ports=ports)

    def worker(self) -> Service:
        ready = Readiness(kind="tcp", port=WORKER_PORT, timeout_s=START_TIMEOUT_S)
        edges = (SERVER, "minio", "postgres", TEMPORAL, WORKLOAD_API)
        return self._service(WORKER, WORKER, ready, connects_to=edges)

    def cron(self) -> Service:
        # It listens on nothing; without Temporal it would wait for ever.
        temporal = self.runtime.endpoint(TEMPORAL, "frontend")
        reaches = (*BASH, REACHED, temporal.host, str(temporal.port))
        ready = Readiness(kind="command", command=reaches, timeout_s=START_TIMEOUT_S)
        edges = (SERVER, "postgres", TEMPORAL, WORKLOAD_API)
        return self._service(CRON, CRON, ready, connects_to=edges)

    def launcher(self) -> Service:
        """Starts a pod per sync, check and discovery, and hands on how it reaches others: such a
        pod has no file of the stack's authority. So they go to the object store by its public
        name, and are told inside the address of the database whom to trust."""
        to_store = GATEWAY if self.product.store.endpoint.public else "minio"
        service = self._service(
            LAUNCHER,
            LAUNCHER,
            Readiness(kind="tcp", port=LAUNCHER_PORT, timeout_s=START_TIMEOUT_S),
            connects_to=(SERVER, to_store, WORKLOAD_API),
        )
        return replace(
            service,
            environment={**service.environment, **self._launching()},
            filled_files={
                f"{SECRETS}/{variable}": Filled(secret=AUTH_SECRET, key=key)
                for variable, key in DATA_PLANE.items()
            },
            launches=Launched(
                name=CONNECTOR,
                # PostgreSQL: the configuration of connectors is in the product's database, and
                # so is the sample source.
                connects_to=(SERVER, to_store, "postgres", WORKLOAD_API),
                reaches_outside=True,  # sources are anywhere
            ),
        )

    # What the parts have in common

    def _service(
        self, name: str, program: str, readiness: Readiness, *, connects_to: tuple[str, ...]
    ) -> Service:
        return Service(
            name=name,
            program=program,
            command=self._command(name),
            environment=self._environment(name),
            secret_files=self._secrets(),
            size=self.product.sizes[name],
            readiness=readiness,
            connects_to=connects_to,
            stop_timeout_s=60,
        )

    def _command(self, name: str) -> tuple[str, ...]:
        # APPLICATION is the image's own word for its program.
        home = str(self.runtime.installed(SERVER_PROGRAM))
        return (*self._from_secrets(name), *BASH, 'exec "$0/airbyte-app/bin/$APPLICATION"', home)

    def _from_secrets(self, name: str) -> tuple[str, ...]:
        return (*BASH, START, str(self.runtime.directory(name) / "config" / SECRETS))

    def _server(self) -> str:
        return f"{self.runtime.endpoint(SERVER, 'api').host}:{AIRBYTE_INNER_PORT}"

    def _address(self, name: str, port: str) -> str:
        found = self.runtime.endpoint(name, port)
        return f"{found.host}:{found.port}"

    def _secrets(self) -> dict[str, pulumi.Input[str]]:
        store = self.product.store
        return _as_variables(
            DATABASE_PASSWORD=self.product.database_password,
            AWS_ACCESS_KEY_ID=store.access_key,
            AWS_SECRET_ACCESS_KEY=store.secret_key,
            AB_JWT_SIGNATURE_SECRET=self.product.signature,
        )

    def _log_ins(self) -> dict[str, pulumi.Input[str]]:
        return _as_variables(
            AB_INSTANCE_ADMIN_PASSWORD=self.product.password,
            AB_INSTANCE_ADMIN_CLIENT_ID=self.product.client_id,
            AB_INSTANCE_ADMIN_CLIENT_SECRET=self.product.client_secret,
        )

    def _environment(self, name: str) -> dict[str, pulumi.Input[str]]:
        database, user = self.product.database, self.product.user
        server = self.runtime.endpoint(SERVER, "api")
        data = str(self.runtime.directory(name) / "data")
        return {
            "AIRBYTE_EDITION": "COMMUNITY",
            "AIRBYTE_VERSION": self.runtime.image(SERVER_PROGRAM).version,
            "AIRBYTE_URL": server.published.url,
            "AIRBYTE_API_HOST": f"{server.published.url}/api/public",
            "AIRBYTE_SERVER_HOST": self._server(),
            "INTERNAL_API_HOST": f"http://{self._server()}",
            "WORKLOAD_API_HOST": f"http://{self._address(WORKLOAD_API, 'http')}",
            "CONTROL_PLANE_TOKEN_ENDPOINT": (f"http://{self._server()}/api/v1/dataplanes/token"),
            "CLUSTER_TYPE": "hybrid",  # control plane and connectors in one place
            "MICRONAUT_ENVIRONMENTS": "control-plane,edition-community",
            "API_AUTHORIZATION_ENABLED": "true",
            "AB_COOKIE_SECURE": "true",
            "AB_COOKIE_SAME_SITE": "Strict",
            "AB_KUBERNETES_SECRET_NAME": AUTH_SECRET,
            # Those that are ours to choose are given to each part; nothing has to keep a copy.
            "AB_AUTH_SECRET_CREATION_ENABLED": "false",
            **{f"{variable}_SECRET_KEY": key for variable, key in DATA_PLANE.items()},
            "DATABASE_HOST": database.host,
            "DATABASE_PORT": str(database.port),
            "DATABASE_DB": user,
            "DATABASE_USER": user,
            "DATABASE_URL": _jdbc_url(database, user),
            "CONFIG_DB_MAX_POOL_SIZE": str(POOL),
            "RUN_DATABASE_MIGRATION_ON_STARTUP": "true",
            "CONFIGS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.35.15.001",
            "JOBS_DATABASE_MINIMUM_FLYWAY_MIGRATION_VERSION": "0.29.15.001",
            "SECRET_PERSISTENCE": "TESTING_CONFIG_DB_TABLE",  # the product's own database
            "TEMPORAL_HOST": self._address(TEMPORAL, "frontend"),
            **_storage(self.product.store),
            # The registry in the image: the control plane asks nobody outside.
            "CONNECTOR_REGISTRY_SEED_PROVIDER": "local",
            "UPDATE_DEFINITIONS_CRON_ENABLED": "false",
            "JOB_ERROR_REPORTING_STRATEGY": "logging",
            "JOB_KUBE_NAMESPACE": self.runtime.pods(CONNECTOR).namespace,
            "LOG_LEVEL": "INFO",
            "TRACKING_ENABLED": "false",
            "TRACKING_STRATEGY": "logging",
            "WORKER_ENVIRONMENT": "kubernetes",
            "CONFIG_ROOT": data,
            "WORKSPACE_ROOT": data,
            "MAX_SYNC_WORKERS": str(self.product.sizes[CONNECTOR].replicas),
            "JAVA_TOOL_OPTIONS": " ".join([HEAP, *self.product.store.endpoint.java_options]),
        }

    def _launching(self) -> dict[str, pulumi.Input[str]]:
        pods = self.runtime.pods(CONNECTOR)
        size = self.product.sizes[CONNECTOR]
        return {
            **{f"{variable}_SECRET_NAME": AUTH_SECRET for variable in DATA_PLANE},
            # Namespaces are closed to root: without it pods would be refused.
            "ROOTLESS_WORKLOAD": "true",
            "JOB_KUBE_SERVICEACCOUNT": pods.account,
            "JOB_KUBE_LABELS": ",".join(f"{key}={value}" for key, value in pods.labels.items()),
            "WORKLOAD_LAUNCHER_PARALLELISM": str(size.replicas),
            "CONTAINER_ORCHESTRATOR_JAVA_OPTS": f"-XX:+ExitOnOutOfMemoryError {HEAP}",
            "JAVA_TOOL_OPTIONS": HEAP,  # public authorities
            "DATABASE_URL": self.product.authority.apply(
                lambda pem: _jdbc_url(self.product.database, self.product.user, pem)
            ),
            **_storage(self.product.store.public),
            **{
                variable: self.runtime.image(program).reference
                for variable, program in LAUNCHED_IMAGES.items()
            },
            **_limits("JOB_MAIN_CONTAINER", size),
            **_limits("REPLICATION_ORCHESTRATOR", size),
            **_limits("SIDECAR_MAIN_CONTAINER", size),
        }


def _as_variables(**values: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    return {f"{SECRETS}/{variable}": value for variable, value in values.items()}


def _limits(variable: str, size: Size) -> dict[str, str]:
    """One container's share of a sync's pod."""
    cores, memory = size.cores / CONTAINERS, f"{size.memory_mib // CONTAINERS}Mi"
    return {
        f"{variable}_CPU_REQUEST": f"{cores * 1000:.0f}m",
        f"{variable}_CPU_LIMIT": f"{CPU_BURST * cores * 1000:.0f}m",
        f"{variable}_MEMORY_REQUEST": memory,
        f"{variable}_MEMORY_LIMIT": memory,
    }


def _storage(store: Bucket) -> dict[str, pulumi.Input[str]]:
    kinds = ("ACTIVITY_PAYLOAD", "AUDIT_LOGGING", "LOG", "STATE", "WORKLOAD_OUTPUT")
    buckets: dict[str, pulumi.Input[str]] = {
        f"STORAGE_BUCKET_{kind}": store.name for kind in kinds
    }
    if store.of_aws:  # the product's other client signs for one region alone
        return {**buckets, "STORAGE_TYPE": "s3", "AWS_DEFAULT_REGION": store.region}
    return {
        **buckets,
        "STORAGE_TYPE": "minio",
        "MINIO_ENDPOINT": store.endpoint.url,
        "S3_PATH_STYLE_ACCESS": "true",
    }


def _jdbc_url(database: Endpoint, name: str, authority: str = "") -> str:
    """authority: in PEM, for programs that find no file with it."""
    url = f"jdbc:postgresql://{database.host}:{database.port}/{name}?sslmode="
    if database.ca_file is None:
        return f"{url}require"
    if authority:
        # Its first certificate, which is that of the authority that certifies now.
        return f"{url}verify-full&sslfactory={TRUSTS_ONE}&sslfactoryarg={quote(authority)}"
    return f"{url}verify-full&sslrootcert={database.ca_file}"


def _sql_tool_trust(database: Endpoint) -> dict[str, str]:
    if database.ca_file is None:
        return {"SQL_TLS_DISABLE_HOST_VERIFICATION": "true"}
    return {"SQL_TLS_CA_FILE": str(database.ca_file), "SQL_TLS_SERVER_NAME": database.host}


def _temporal_settings(
    database: Endpoint, password: str, port: int, dynamic_config: str
) -> dict[str, Any]:
    """All four services of Temporal in one process; only the frontend listens to others."""
    trust: dict[str, Any] = {"enabled": True, "enableHostVerification": False}
    if database.ca_file:
        trust |= {
            "enableHostVerification": True,
            "caFile": str(database.ca_file),
            "serverName": database.host,
        }
    stores = {
        kind: {
            "sql": {
                "pluginName": "postgres12",
                "databaseName": name,
                "connectAddr": f"{database.host}:{database.port}",
                "connectProtocol": "tcp",
                "user": TEMPORAL_ROLE,
                "password": password,
                "maxConns": TEMPORAL_CONNECTIONS,
                "maxIdleConns": TEMPORAL_CONNECTIONS,
                "maxConnLifetime": "1h",
                "tls": trust,
            }
        }
        for kind, name in (
            ("default", TEMPORAL_DATABASES["temporal"]),
            ("visibility", TEMPORAL_DATABASES["visibility"]),
        )
    }
    return {
        "log": {"stdout": True, "level": "info"},
        "persistence": {
            "numHistoryShards": 4,  # fixed for ever with the first start
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "datastores": stores,
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": {
            "frontend": _rpc(port, 6933, "0.0.0.0"),  # noqa: S104 - policies decide who gets there
            "history": _rpc(7234, 6934),
            "matching": _rpc(7235, 6935),
            "worker": _rpc(7239, 6939),
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": f"127.0.0.1:{port}",
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "publicClient": {"hostPort": f"127.0.0.1:{port}"},
        "dynamicConfigClient": {"filepath": dynamic_config, "pollInterval": "60s"},
    }


def _rpc(port: int, membership_port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"rpc": {"grpcPort": port, "membershipPort": membership_port, "bindOnIP": host}}
