"""Dremio Community from the vendor's image: one node, or a coordinator with executors.

Reflections, uploads and results are kept in the object store, below `PREFIX` of the bucket, so
executors need no common disk. https://docs.dremio.com/current/get-started/cluster-deployments/
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape

import pulumi

from components.runtime.catalog import CONDUIT_PORT, FABRIC_PORT
from components.runtime.service import (
    Bucket,
    Certificate,
    Keystore,
    Readiness,
    Runtime,
    Service,
)
from components.sizing import Size
from tls.files import CertificateFiles

PROGRAM = "dremio"
COORDINATOR = "dremio"
EXECUTOR = "dremio-executor"
ZOOKEEPER = "zookeeper"
PREFIX = "accelerator"
START_TIMEOUT_S = 600  # the first start makes the metadata store
KEYSTORE, PASSWORDS = "keystore.p12", "keystore.conf"
SECURE = ("services.coordinator.web", "services.flight")  # its listeners for users
HEAP_SHARE = 0.25  # of memory; the rest is direct memory, in which Dremio keeps rows

LOGBACK = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} [%thread] %-5level %logger{30} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
</configuration>
"""
ZOO_CFG = """\
tickTime=2000
dataDir={data}
clientPort={port}
admin.enableServer=false
4lw.commands.whitelist=ruok
"""


@dataclass(frozen=True, kw_only=True)
class Dremio:
    """bucket: whose account may write below PREFIX.
    keystore_password: of the file with its certificate.
    executor: how large one is; used where services can have replicas."""

    bucket: Bucket
    keystore_password: pulumi.Output[str]
    executor: Size

    def parts(self, runtime: Runtime, stand_in: Service) -> Sequence[Service]:
        if not runtime.clustered:
            return [self._node(runtime, stand_in, coordinator=True, executor=True)]
        executor = replace(
            self._node(
                runtime,
                replace(stand_in, name=EXECUTOR, ports={}, size=self.executor),
                coordinator=False,
                executor=True,
            ),
            connects_to=("minio", ZOOKEEPER, COORDINATOR),  # and each other
        )
        coordinator = replace(
            self._node(runtime, stand_in, coordinator=True, executor=False),
            connects_to=("minio", ZOOKEEPER, EXECUTOR),
        )
        return [_zookeeper(runtime), coordinator, executor]

    def _node(
        self, runtime: Runtime, service: Service, *, coordinator: bool, executor: bool
    ) -> Service:
        directory = runtime.directory(service.name)
        home = runtime.installed(PROGRAM)
        heap = int(service.size.memory_mib * HEAP_SHARE)
        probed = service.ports["flight"] if coordinator else FABRIC_PORT
        settings = self._settings(runtime, service, coordinator=coordinator, executor=executor)
        keys = pulumi.Output.all(self.bucket.access_key, self.bucket.secret_key)
        secret_files = {"core-site.xml": keys.apply(lambda both: self._core_site(*both))}
        files = {"dremio-env": "", "logback.xml": LOGBACK}
        keystore = Keystore(name=KEYSTORE, password=self.keystore_password)
        certificate = Certificate(keystore=keystore, restarts=True) if coordinator else None
        tls = runtime.certificate_files(service.name, certificate) if certificate else None
        include = ""
        if tls:
            settings = {**settings, **self._secure(tls)}
            include = f'include file("{directory / "config" / PASSWORDS}")\n'
            secret_files[PASSWORDS] = self.keystore_password.apply(_passwords)
        return replace(
            service,
            program=PROGRAM,
            product=None,
            command=(
                *(str(home / "bin/dremio"), "--config", str(directory / "config"), "start-fg"),
            ),
            environment={
                "DREMIO_LOG_TO_CONSOLE": "1",
                "DREMIO_LOG_DIR": "/tmp",  # noqa: S108 - a container's own
                "DREMIO_PID_DIR": "/tmp",  # noqa: S108
                "DREMIO_MAX_HEAP_MEMORY_SIZE_MB": str(heap),
                # What is left beside both is the JVM's own.
                "DREMIO_MAX_DIRECT_MEMORY_SIZE_MB": str(service.size.memory_mib - 2 * heap),
                **self._trust(),
            },
            files={**files, "dremio.conf": include + _hocon(settings)},
            secret_files=secret_files,
            certificate=certificate,
            ports={**service.ports, "fabric": FABRIC_PORT, "conduit": CONDUIT_PORT},
            readiness=Readiness(kind="tcp", port=probed, timeout_s=START_TIMEOUT_S),
            stop_timeout_s=120,  # running queries end first
        )

    def _settings(
        self, runtime: Runtime, service: Service, *, coordinator: bool, executor: bool
    ) -> Mapping[str, Any]:
        data = runtime.directory(service.name) / "data"
        clustered = coordinator != executor
        settings: dict[str, Any] = {
            "paths.local": str(data),
            "paths.dist": f"dremioS3:///{self.bucket.name}/{PREFIX}",
            "services.coordinator.enabled": coordinator,
            "services.coordinator.master.enabled": coordinator,
            "services.coordinator.master.embedded-zookeeper.enabled": not clustered,
            "services.executor.enabled": executor,
            "services.fabric.port": FABRIC_PORT,
            "services.conduit.port": CONDUIT_PORT,
        }
        if coordinator:
            settings |= {
                "services.coordinator.web.port": service.ports["rest"],
                "services.flight.enabled": True,
                "services.flight.port": service.ports["flight"],
                "services.flight.auth.mode": "arrow.flight.auth2",
            }
        if clustered:
            zookeeper = runtime.endpoint(ZOOKEEPER, "client")
            settings["zookeeper"] = f"{zookeeper.host}:{zookeeper.port}"
        return settings

    def _secure(self, tls: CertificateFiles) -> Mapping[str, Any]:
        """Of what has users; among its own parts, Community speaks no TLS."""
        return {
            f"{listener}.ssl.{name}": value
            for listener in SECURE
            for name, value in {
                "enabled": True,
                "auto-certificate.enabled": False,
                "keyStoreType": "PKCS12",
                "keyStore": str(tls.certificate.with_name(KEYSTORE)),
            }.items()
        }

    def _trust(self) -> Mapping[str, str]:
        """How it verifies the object store."""
        options = " ".join(self.bucket.endpoint.java_options)
        return {"DREMIO_JAVA_SERVER_EXTRA_OPTS": options} if options else {}

    def _core_site(self, access_key: str, secret_key: str) -> str:
        """The settings of the distributed store. A secret file: it holds the user's key."""
        store = self.bucket.endpoint
        properties = {
            "fs.dremioS3.impl": "com.dremio.plugins.s3.store.S3FileSystem",
            "fs.s3a.access.key": access_key,
            "fs.s3a.secret.key": secret_key,
            "fs.s3a.aws.credentials.provider": (
                "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
            ),
            "fs.s3a.endpoint": f"{store.host}:{store.port}",
            "fs.s3a.endpoint.region": self.bucket.region,
            "fs.s3a.path.style.access": "true",
            "dremio.s3.compat": "true",
            "fs.s3a.connection.ssl.enabled": str(store.scheme == "https").lower(),
        }
        lines = [
            f"  <property><name>{name}</name><value>{escape(value)}</value></property>"
            for name, value in properties.items()
        ]
        return "\n".join(
            ['<?xml version="1.0"?>', "<configuration>", *lines, "</configuration>\n"]
        )


def _hocon(settings: Mapping[str, Any]) -> str:
    """A setting per line; values are JSON, which is HOCON."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())


def _passwords(password: str) -> str:
    return _hocon({f"{listener}.ssl.keyStorePassword": password for listener in SECURE})


def _zookeeper(runtime: Runtime) -> Service:
    """One server: it holds leases and addresses only, which come back with a restart."""
    directory = runtime.directory(ZOOKEEPER)
    ports = runtime.ports(ZOOKEEPER)
    home = runtime.installed(ZOOKEEPER)
    return Service(
        name=ZOOKEEPER,
        program=ZOOKEEPER,
        command=(
            *(str(home / "bin/zkServer.sh"), "start-foreground"),
            str(directory / "config" / "zoo.cfg"),
        ),
        environment={"ZOO_LOG_DIR": "/tmp", "ZOOCFGDIR": str(directory / "config")},  # noqa: S108
        files={
            "zoo.cfg": ZOO_CFG.format(data=directory / "data", port=ports["client"]),
            "logback.xml": LOGBACK,
        },
        ports=ports,
        size=Size(cores=0.25, memory_mib=512, disk_gib=1),
        readiness=Readiness(kind="tcp", port=ports["client"]),
    )
