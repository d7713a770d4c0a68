"""Services on the process runtime, under the engine's mocks."""

from pathlib import Path

import pulumi
import pytest

from components.runtime.process import ProcessRuntime
from components.runtime.service import Job, Readiness, ScheduledJob, Service
from services.init import Init

STACK_DIR = Path("/stacks/test")
PROCESS = "pulumi-python:dynamic/dataflow/local:Process"
JOB = "pulumi-python:dynamic/dataflow/local:Job"


class Recorder(pulumi.runtime.Mocks):
    """Keeps every registration: name -> (type, inputs)."""

    def __init__(self) -> None:
        self.resources: dict[str, tuple[str, dict]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs):
        self.resources[args.name] = (args.typ, args.inputs)
        return f"{args.name}-id", args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs):
        raise AssertionError(f"unexpected call of {args.token}")


@pytest.fixture(params=[True, False], ids=["preview", "up"])
def declare(request):
    """Runs a program on a runtime. Returns what it registered."""

    def run(program):
        recorder = Recorder()
        pulumi.runtime.set_mocks(recorder, project="dataflow", stack="test", preview=request.param)

        @pulumi.runtime.test
        def test() -> None:
            program(
                ProcessRuntime(
                    "runtime", stack_dir=STACK_DIR, user="app", port_offset=7, keep_data=True
                )
            )

        test()
        return recorder.resources

    return run


def database(runtime: ProcessRuntime) -> Service:
    folder = runtime.directory("db")
    return Service(
        name="db",
        command=("serve", str(folder / "config/a.conf")),
        environment={"A": "b"},
        files={"a.conf": "x"},
        secret_files={"password": pulumi.Output.secret("s3cr3t-horse")},
        init=(
            Init(
                command=("initdb",),
                creates=str(folder / "data/cluster"),
                stdin_file=str(folder / "config/password"),
            ),
        ),
        ports={"sql": 5432, "http": 5433},
        readiness=Readiness(kind="tcp", port=5432, timeout_s=7),
        stop_signal="INT",
        stop_timeout_s=60,
    )


def test_a_service_is_a_component_over_a_process(declare):
    endpoints = {}

    def program(runtime):
        running = runtime.service(database(runtime), parent=runtime)
        endpoints.update({name: end.url for name, end in running.endpoints.items()})

    declared = declare(program)
    assert declared["db-service"][0] == "dataflow:runtime:Service"
    kind, props = declared["db-process"]
    assert kind == PROCESS
    assert props.pop("__provider")
    secret = props.pop("secretFiles")
    assert pulumi.runtime.rpc.is_rpc_secret(secret)
    assert props == {
        "stackDir": "/stacks/test",
        "name": "db",
        "command": ["serve", "/stacks/test/services/db/config/a.conf"],
        "environment": {"A": "b"},
        "files": {"a.conf": "x"},
        "init": [{"command": ["initdb"], "creates": "data/cluster", "stdinFile": "password"}],
        "user": "app",
        "ports": [5432, 5433],
        "readiness": {"kind": "tcp", "port": 5432, "timeoutS": 7},
        "stopSignal": "INT",
        "stopTimeoutS": 60,
        "keepData": True,
        "running": True,
    }
    assert endpoints == {"sql": "postgresql://127.0.0.1:5432", "http": "http://127.0.0.1:5433"}


def test_ports_of_the_catalog_are_known_before_their_service(declare):
    def program(runtime):
        endpoint = runtime.endpoint("superset", "http")
        assert endpoint.url == endpoint.published.url == "http://127.0.0.1:8095"
        assert runtime.ports("dremio") == {"rest": 9054, "flight": 32017}

    declare(program)


def test_the_supervisor_comes_first_and_keeps_data_too(declare):
    declared = declare(lambda runtime: runtime.service(database(runtime), parent=runtime))
    props = declared["runtime-supervisor"][1]
    assert (props["stackDir"], props["keepData"]) == ("/stacks/test", True)
    assert list(declared).index("runtime-supervisor") < list(declared).index("db-process")


def test_a_job_is_a_component_over_a_job(declare):
    def program(runtime):
        command = runtime.python("services.shop", "seed")
        job = Job(name="seed", command=command, triggers={"orders": "5"}, timeout_s=9)
        runtime.job(job, parent=runtime)

    declared = declare(program)
    assert declared["seed-job"][0] == "dataflow:runtime:Job"
    kind, props = declared["seed-run"]
    assert kind == JOB
    assert props["triggers"] == {"orders": "5"}
    assert props["timeoutS"] == 9
    assert props["command"][-2:] == ["services.shop", "seed"]


def test_wrong_uses_are_named(declare):
    def program(runtime):
        runtime.service(database(runtime), parent=runtime)
        with pytest.raises(ValueError, match="'db': the name is used twice"):
            runtime.job(Job(name="db", command=("x",)), parent=runtime)
        with pytest.raises(ValueError, match="service or job 'cache': expected one of minio"):
            runtime.endpoint("cache", "http")
        outside = Init(command=("x",), creates="/elsewhere")
        with pytest.raises(ValueError, match="creates '/elsewhere': expected a path below"):
            runtime.service(Service(name="w", command=("x",), init=(outside,)), parent=runtime)
        copy = ScheduledJob(job=Job(name="copy", command=("x",)), schedule="0 5 * * *")
        with pytest.raises(ValueError, match="schedule '0 5 .*': expected a cluster"):
            runtime.scheduled_job(copy, parent=runtime)
        with pytest.raises(ValueError, match="program 'oracle': expected one of dbt"):
            runtime.installed("oracle")

    declare(program)
