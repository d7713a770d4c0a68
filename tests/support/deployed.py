"""A stack deployed for tests by the real engine, and how tests talk to it."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3
import yaml
from minio import Minio
from pyarrow import flight

from dynamic_providers.credentials import derive
from dynamic_providers.endpoints import HOST, port
from tests.support.ports import free_offset
from tools.paths import Paths, engine_environment
from tools.policing import pack_arguments
from tools.stack import Stack

ORDERS = 2000  # in the sample source database


@contextmanager
def small_stack(name: str, settings: Mapping[str, object] | None = None) -> Iterator[Stack]:
    """The settings of a small stack, on ports of its own, and `settings`. It is taken away, and
    what it runs, when the block ends, also by Ctrl-C."""
    stack = Stack(name=name, paths=Paths.find())
    config = {"dataflow:portOffset": free_offset(), "dataflow:shopOrders": ORDERS}
    config |= settings or {}
    try:
        stack.config_file.write_text(yaml.safe_dump({"config": config}))
        yield stack
    finally:
        if stack.exists:
            stack.pulumi("cancel", "--yes")  # the lock of an engine that was killed
            stack.pulumi("destroy", "--yes", "--skip-preview")
            stack.answer("stack", "rm", "--yes", "--force")
        stack.config_file.unlink(missing_ok=True)


def interruptible(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a command prints. An exception meanwhile, such as Ctrl-C or a test's timeout, is its
    SIGINT, and it has the time to end by itself: killed, the engine leaves its stack locked and
    forgets what it has made."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Else a terminal's Ctrl-C reaches it too, and a second SIGINT makes it stop at once.
        start_new_session=True,
    ) as process:
        try:
            printed, errors = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
    return subprocess.CompletedProcess(command, process.returncode, printed, errors)


class Deployed:
    """A deployed stack and how tests talk to it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.offset = stack.settings().port_offset
        self.seed = stack.answer("config", "get", "dataflow:seed").strip()
        self.output = ""  # everything that pulumi printed

    def pulumi(self, *arguments: str, expect: int = 0) -> str:
        return self._run(
            [str(self.stack.paths.bin / "pulumi"), *arguments, "--stack", self.stack.name],
            expect,
            env=engine_environment(self.stack.paths),
        ).stdout

    def up(self) -> None:
        """As `bin/dataflow up` does it: a broken mandatory policy fails it."""
        self.pulumi("up", "--yes", "--skip-preview", *pack_arguments(self.stack))

    def dataflow(self, *arguments: object, status: int = 0) -> str:
        """What a command on the stack prints, on one line: a terminal's width breaks others."""
        command = ["bin/dataflow", *map(str, arguments)]
        if "--from" not in arguments:
            command += ["--stack", self.stack.name]
        done = self._run(command, status)
        return " ".join((done.stdout + done.stderr).split())

    def _run(
        self, command: Sequence[str], expect: int, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = interruptible(command, cwd=self.stack.paths.root, env=env)
        self.output += done.stdout + done.stderr
        assert done.returncode == expect, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    def changes(self) -> dict[str, list[str]]:
        """dict name of a resource that a preview would change -> its changed properties."""
        steps = json.loads(self.pulumi("preview", "--json"))["steps"]
        return {
            step["urn"].rpartition("::")[2]: sorted(step.get("detailedDiff") or {step["op"]: 0})
            for step in steps
            if step["op"] != "same" and "dataflow:" not in step["urn"].rpartition("$")[2]
        }

    def password(self, credential: str) -> str:
        return derive(self.seed, credential)

    def url(self, service: str) -> str:
        return self.stack.url(service)

    def store(self) -> Minio:
        return Minio(
            f"{HOST}:{port('minio', self.offset)}",
            access_key="minio-root",
            secret_key=self.password("minio-root"),
            http_client=urllib3.PoolManager(ca_certs=str(self.stack.ca_file)),
        )


def flight_rows(deployed: Deployed, sql: str) -> list[dict]:
    """The specification's snippet, "Arrow Flight API", with the token passed on."""
    url = deployed.url("dremio-flight")
    if url.startswith("https:"):
        authority = deployed.stack.ca_file.read_bytes()
        client = flight.FlightClient(url.replace("https", "grpc+tls"), tls_root_certs=authority)
    else:
        client = flight.FlightClient(url.replace("http", "grpc"))
    token = client.authenticate_basic_token("admin", deployed.password("dremio-admin"))
    options = flight.FlightCallOptions(headers=[token])
    descriptor = flight.FlightDescriptor.for_command(sql.encode())
    info = client.get_flight_info(descriptor, options)
    return client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist()
