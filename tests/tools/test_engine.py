"""The built CLI and language host, by a small program: one dynamic resource, state in a folder.

Needs the engine that `python -m tools.bootstrap` installs.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.paths import ROOT, Paths, engine_environment

pytestmark = pytest.mark.engine
BIN = Paths.find().bin
WAIT_S = 60

PROGRAM = """
import os
import pulumi
from pulumi.dynamic import Resource
from provider import Provider

config = pulumi.Config()
if config.get("fail"):
    raise RuntimeError("told by the program")
if config.get("exit"):
    os._exit(7)
if pipe := config.get("hang"):
    open(pipe, "w").write(str(os.getpid()))
    import time
    time.sleep(600)

class Note(Resource):
    text: pulumi.Output[str]
    def __init__(self, name, text):
        super().__init__(Provider(), name, {"text": text})

note = Note("note", config.require("text"))
pulumi.export("text", note.text)
pulumi.export("secret", config.require_secret("password"))
"""

PROVIDER = """
from pulumi.dynamic import CreateResult, ResourceProvider, UpdateResult

class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("note-1", props)
    def update(self, id, old, new):
        return UpdateResult(new)
"""


class Stack:
    """A stack `test` of the small program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "program"
        self.folder.mkdir()
        (self.folder / "Pulumi.yaml").write_text(
            f"name: small\nruntime: {{name: python, options: {{virtualenv: {ROOT}/.venv}}}}\n"
        )
        (self.folder / "__main__.py").write_text(PROGRAM)
        (self.folder / "provider.py").write_text(PROVIDER)
        self.mark = f"dataflow-test-{folder.name}-{os.getpid()}"
        self.home = folder / "home"
        env = engine_environment(Paths(root=ROOT, home=self.home))
        env["PATH"] = os.pathsep.join([str(BIN), env["PATH"]])
        self.env = env | {"TEST_MARK": self.mark}  # by which the processes are found

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, fails: bool = False) -> str:
        process = self.start(*arguments)
        output = process.communicate(timeout=WAIT_S)[0]
        assert (process.returncode != 0) is fails, output
        return output

    def preview(self) -> dict[str, int]:
        """Operation -> number of resources, as `preview --json` says."""
        process = subprocess.run(
            [BIN / "pulumi", "preview", "--json", "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=True,
        )
        return json.loads(process.stdout)["changeSummary"]

    def processes(self) -> list[str]:
        """Command lines of the processes that carry our mark in their environment."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:  # ended meanwhile
                continue
        return found

    def wait_until_all_ended(self) -> None:
        until = time.monotonic() + WAIT_S
        while left := self.processes():
            assert time.monotonic() < until, left
            time.sleep(0.05)  # processes of others: there is nothing to wait on


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if not (BIN / "pulumi").exists():
        pytest.skip("no engine: python -m tools.bootstrap installs it")
    stack = Stack(tmp_path)
    stack.run("stack", "init", "test")
    stack.run("config", "set-all", "--plaintext", "text=hello", "--secret", "password=hunter2")
    yield stack
    stack.wait_until_all_ended()


def test_a_program_goes_up_stays_as_it_is_changes_and_is_destroyed(stack):
    assert stack.preview() == {"create": 2}
    stack.run("up", "--yes", "--skip-preview")
    outputs = json.loads(stack.run("stack", "output", "--json", "--show-secrets"))
    assert outputs == {"text": "hello", "secret": "hunter2"}
    assert stack.preview() == {"same": 2}
    stack.run("refresh", "--yes", "--expect-no-changes")

    stack.run("config", "set", "text", "good bye")
    assert stack.preview() == {"same": 1, "update": 1}
    stack.run("up", "--yes", "--skip-preview")
    (state,) = (stack.home / "state").rglob("test.json")
    assert "good bye" in state.read_text()
    assert "hunter2" not in state.read_text()

    stack.run("destroy", "--yes", "--skip-preview")


def test_a_program_that_raises_is_told_once(stack):
    output = stack.run("preview", "--config", "fail=yes", fails=True)
    assert "RuntimeError: told by the program" in output
    assert "exited with code" not in output


def test_a_program_that_just_ends_with_a_code_is_an_error_that_names_it(stack):
    assert "the Python program exited with code 7" in stack.run(
        "preview", "--config", "exit=yes", fails=True
    )


@pytest.mark.parametrize("how", ["interrupt the CLI", "kill the language host"])
def test_no_python_is_left_behind(stack, tmp_path, how):
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    process = stack.start("preview", "--config", f"hang={ready}")
    program = int(ready.read_text())  # returns when the program hangs
    began = time.monotonic()
    if how == "interrupt the CLI":
        process.send_signal(signal.SIGINT)
    else:
        os.kill(_parent(program), signal.SIGKILL)
    process.communicate(timeout=WAIT_S)
    assert process.returncode != 0
    stack.wait_until_all_ended()
    assert time.monotonic() - began < WAIT_S  # the program itself sleeps for 600 s


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{virtualenv: nowhere}", "nowhere"),
        ("{typechecker: mypy}", "runtime option typechecker: expected virtualenv or toolchain"),
        ("{toolchain: npm}", 'runtime option toolchain: "npm": expected pip, uv or poetry'),
    ],
)
def test_a_wrong_runtime_option_is_named(stack, options, message):
    project = stack.folder / "Pulumi.yaml"
    project.write_text(f"name: small\nruntime: {{name: python, options: {options}}}\n")
    assert message in stack.run("preview", fails=True)


def test_a_policy_pack_runs_and_can_refuse(stack, tmp_path):
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime: {{name: python, options: {{virtualenv: {ROOT}/.venv}}}}\nversion: 0.0.1\n"
    )
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def no_hello(args, report):\n"
        "    if args.props.get('text') == 'hello':\n"
        "        report('say something else')\n"
        "PolicyPack('small', policies=[ResourceValidationPolicy(\n"
        "    name='no-hello', description='.', validate=no_hello,\n"
        "    enforcement_level=EnforcementLevel.MANDATORY)])\n"
    )
    assert "say something else" in stack.run("preview", "--policy-pack", str(pack), fails=True)
    stack.run("preview", "--config", "text=moin", "--policy-pack", str(pack))
