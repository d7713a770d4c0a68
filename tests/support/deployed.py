"""A stack deployed for tests by the real engine, and how tests talk to it."""

import json
import random
import socket
import subprocess

import urllib3
from minio import Minio
from pyarrow import flight

from dynamic_providers.credentials import derive
from dynamic_providers.endpoints import HOST, PORTS, port
from tools.paths import engine_environment
from tools.policing import pack_arguments
from tools.stack import Stack

ORDERS = 2000  # in the sample source database


class Deployed:
    """A deployed stack and how tests talk to it."""

    def __init__(self, stack: Stack, offset: int) -> None:
        self.stack = stack
        self.offset = offset
        self.seed = stack.answer("config", "get", "dataflow:seed").strip()
        self.output = ""  # everything that pulumi printed

    def pulumi(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [self.stack.paths.bin / "pulumi", *arguments, "--stack", self.stack.name],
            cwd=self.stack.paths.root,
            env=engine_environment(self.stack.paths),
            capture_output=True,
            text=True,
        )
        self.output += done.stdout + done.stderr
        assert done.returncode == expect, f"pulumi {arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self) -> None:
        """As `bin/dataflow up` does it: a broken mandatory policy fails it."""
        self.pulumi("up", "--yes", "--skip-preview", *pack_arguments(self.stack))

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
        return f"https://{HOST}:{port(service, self.offset)}"

    def store(self) -> Minio:
        return Minio(
            f"{HOST}:{port('minio', self.offset)}",
            access_key="minio-root",
            secret_key=self.password("minio-root"),
            http_client=urllib3.PoolManager(ca_certs=str(self.stack.ca_file)),
        )


def free_offset() -> int:
    """A port offset at which every port of a stack is free."""
    for _ in range(100):
        offset = random.randrange(1000, 20000, 10)
        if all(is_free(port(service, offset)) for service in PORTS):
            return offset
    raise AssertionError("no free port offset")


def is_free(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, number)) != 0


def flight_rows(deployed: Deployed, sql: str) -> list[dict]:
    """The specification's snippet, "Arrow Flight API", with the token passed on."""
    authority = deployed.stack.ca_file.read_bytes()
    address = f"grpc+tls://{HOST}:{port('dremio-flight', deployed.offset)}"
    client = flight.FlightClient(address, tls_root_certs=authority)
    token = client.authenticate_basic_token("admin", deployed.password("dremio-admin"))
    options = flight.FlightCallOptions(headers=[token])
    descriptor = flight.FlightDescriptor.for_command(sql.encode())
    info = client.get_flight_info(descriptor, options)
    return client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist()
