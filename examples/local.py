"""The local runtime's resources, one of each: a web server that a supervisor keeps alive."""

import sys

import pulumi

from dynamic_providers.local.resources import Job, Process, Supervisor

STACK = "/srv/dataflow/stacks/example"

supervisor = Supervisor("supervisor", stack_dir=STACK)

web = Process(
    "web",
    stack_dir=STACK,
    name="web",
    command=[sys.executable, "-m", "http.server", "8123", "--bind", "127.0.0.1"],
    files={"motd.txt": "hello"},
    ports=[8123],
    readiness={"kind": "http", "url": "http://127.0.0.1:8123/"},
    opts=pulumi.ResourceOptions(depends_on=[supervisor]),
)

greeting = Job(
    "greeting",
    stack_dir=STACK,
    name="greeting",
    command=[sys.executable, "-c", "print('hello')"],
    triggers={"greeting": "1"},
    opts=pulumi.ResourceOptions(depends_on=[web]),
)
