"""One Elasticsearch node with security on, for logs: files, command, environment, first start.

https://www.elastic.co/docs/reference/elasticsearch/configuration-reference
"""

import re
from pathlib import Path
from typing import Any

import yaml

from services.init import Init
from tls.files import CertificateFiles

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
CLUSTER = "dataflow"
SUPERUSER = "elastic"  # built in; its first password is the keystore's bootstrap.password
S3_CLIENT = "backup"  # by which repositories of snapshots find their store
HEAP = re.compile(r"[1-9][0-9]*[mg]")

# From the distribution's own jvm.options, less the garbage collector's log, the heap dump (it
# holds whatever credentials were in use) and jdk.incubator.vector: not every runtime has that
# module, and searching a day's logs gains little from it. Nor does it from the compiler that
# optimizes most and the parallel collector, which take half of the processor time of a start.
JVM_OPTIONS = """\
-Xms{heap}
-Xmx{heap}
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-Djava.io.tmpdir=${{ES_TMPDIR}}
23-:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.setAsTypeCache
23-:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.asTypeUncached
-Dorg.apache.lucene.store.defaultReadAdvice=normal
-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1
-XX:+ExitOnOutOfMemoryError
-XX:ErrorFile={logs_dir}/hs_err_pid%p.log
"""

# Whoever runs the service keeps its output, so one appender on the console is enough. The
# second one tells clients about deprecations in a response header.
LOG4J2 = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%consoleException%n
appender.header_warning.type = HeaderWarningAppender
appender.header_warning.name = header_warning
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.deprecation.name = org.elasticsearch.deprecation
logger.deprecation.level = warn
logger.deprecation.appenderRef.header_warning.ref = header_warning
logger.deprecation.additivity = false
"""


def files(
    *,
    http_port: int,
    transport_port: int,
    data_dir: Path,
    logs_dir: Path,
    heap: str,
    host: str = HOST,
    tls: CertificateFiles | None = None,
) -> dict[str, str]:
    """Relative path -> text: all that the configuration folder needs but the keystore, which
    `init` makes in it. The service must be able to write to that folder.

    host: the address that it listens on.
    heap: size of the Java heap, such as 512m or 1g; the process takes about 300 MB more.
    tls: the certificate to serve with, in the configuration folder: no other can be read.
    Raises ValueError for another form.
    """
    if not HEAP.fullmatch(heap):
        raise ValueError(f"heap {heap!r}: expected a number of m or g, such as 512m or 1g")
    settings = {
        "cluster.name": CLUSTER,
        "node.name": CLUSTER,
        "path.data": str(data_dir),
        "path.logs": str(logs_dir),
        "network.host": host,
        "http.port": http_port,
        "transport.port": transport_port,
        "discovery.type": "single-node",
        "xpack.security.enabled": True,
        # Set by hand, or the first start would write certificates of its own.
        "xpack.security.autoconfiguration.enabled": False,
        "xpack.security.enrollment.enabled": False,
        **_ssl("xpack.security.http.ssl", tls),
        **_ssl("xpack.security.transport.ssl", tls),
        # The defaults are shares of the disk: on a large one that others fill, indices would
        # become read-only with many gigabytes free.
        "cluster.routing.allocation.disk.watermark.low": "2gb",
        "cluster.routing.allocation.disk.watermark.high": "1gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
    }
    return {
        "elasticsearch.yml": yaml.safe_dump(settings, sort_keys=False),
        "jvm.options": JVM_OPTIONS.format(heap=heap, logs_dir=logs_dir),
        "log4j2.properties": LOG4J2,
    }


def _ssl(prefix: str, tls: CertificateFiles | None) -> dict[str, Any]:
    """Of one listener. Elasticsearch looks at the files every few seconds and reloads them."""
    if tls is None:
        return {f"{prefix}.enabled": False}
    return {
        f"{prefix}.enabled": True,
        f"{prefix}.supported_protocols": ["TLSv1.3", "TLSv1.2"],
        f"{prefix}.certificate": str(tls.certificate),
        f"{prefix}.key": str(tls.key),
        f"{prefix}.certificate_authorities": [str(tls.ca)],
    }


def command(home: Path) -> tuple[str, ...]:
    """home: the installed distribution; its `jdk` is the Java that it runs on."""
    return (str(home / "bin/elasticsearch"),)


def environment(*, config_dir: Path, tmp_dir: Path) -> dict[str, str]:
    """Of the service and of its `init`. tmp_dir must exist."""
    return {
        "ES_PATH_CONF": str(config_dir),
        "ES_TMPDIR": str(tmp_dir),
        # Of the launcher and the keystore's tool, which run for seconds.
        "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
    }


def init(*, home: Path, config_dir: Path, password_file: Path) -> Init:
    """Puts the superuser's first password into a new keystore. It counts on the first start
    only: later the password is changed through the API."""
    return Init(
        command=(
            str(home / "bin/elasticsearch-keystore"),
            *("add", "--stdin", "--force", "bootstrap.password"),
        ),
        creates=str(config_dir / "elasticsearch.keystore"),
        stdin_file=str(password_file),
    )
