"""The graph of steps: what runs, what runs again, and what a failure or Ctrl-C leaves."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from rich.console import Console

from tools import bootstrap
from tools.bootstrap import full_keys, pending
from tools.paths import ROOT, Paths
from tools.step import Log, Step, StepError

WAIT_S = 20  # for another thread or process that is certain to come


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path / "project", home=tmp_path / "home")


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def make(paths: Paths, name: str, calls: list[str], key: str = "1", **settings) -> Step:
    """A step that notes its call and makes opt/<name>."""

    def run(log: Log) -> None:
        calls.append(name)
        with log.staged(paths.opt / name) as folder:
            (folder / "file").write_text(key)

    return Step(name=name, key=key, **{"run": run, "outputs": (paths.opt / name,)} | settings)


def test_needed_steps_run_first_and_a_second_run_does_nothing(paths, console):
    calls: list[str] = []
    steps = [
        make(paths, "c", calls, needs=("a", "b")),
        make(paths, "b", calls, needs=("a",)),
        make(paths, "a", calls),
    ]
    first = bootstrap.bootstrap(paths, steps, console)
    assert calls == ["a", "b", "c"]
    assert first.done == ("c", "b", "a")
    assert "[a] done in 0 s" in printed(console)

    second = bootstrap.bootstrap(paths, steps, console)
    assert calls == ["a", "b", "c"]
    assert second.up_to_date == ("c", "b", "a")


def test_independent_steps_run_at_the_same_time(paths, console):
    both = threading.Barrier(2)

    def meet(_log: Log) -> None:
        both.wait(WAIT_S)  # raises BrokenBarrierError unless the other one runs too

    steps = [Step(name=name, key="1", run=meet) for name in "ab"]
    assert bootstrap.bootstrap(paths, steps, console).failures == ()


def test_heavy_steps_run_one_at_a_time_and_leave_room_for_others(paths, console):
    running, most = set[str](), list[int]()
    light_ran = threading.Event()
    lock = threading.Lock()

    def heavy(name: str) -> Step:
        def run(_log: Log) -> None:
            with lock:
                running.add(name)
                most.append(len(running))
            assert light_ran.wait(WAIT_S)
            with lock:
                running.remove(name)

        return Step(name=name, key="1", run=run, heavy=True)

    light = Step(name="light", key="1", run=lambda _log: light_ran.set())
    outcome = bootstrap.bootstrap(paths, [heavy("x"), heavy("y"), heavy("z"), light], console)
    assert outcome.failures == ()
    assert most == [1, 1, 1]


def test_a_changed_key_runs_the_step_again_and_those_that_need_it(paths, console):
    calls: list[str] = []
    names = {"a": (), "b": ("a",), "other": ()}
    bootstrap.bootstrap(
        paths, [make(paths, n, calls, needs=needs) for n, needs in names.items()], console
    )
    calls.clear()
    changed = [
        make(paths, n, calls, key="2" if n == "a" else "1", needs=needs)
        for n, needs in names.items()
    ]
    outcome = bootstrap.bootstrap(paths, changed, console)
    assert calls == ["a", "b"]
    assert outcome.up_to_date == ("other",)
    assert (paths.opt / "a/file").read_text() == "2"


def test_a_deleted_output_is_made_again(paths, console):
    calls: list[str] = []
    steps = [make(paths, "a", calls), make(paths, "b", calls)]
    bootstrap.bootstrap(paths, steps, console)
    (paths.opt / "b/file").unlink()
    (paths.opt / "b").rmdir()
    assert [step.name for step in pending(paths, steps)] == ["b"]
    bootstrap.bootstrap(paths, steps, console)
    assert sorted(calls) == ["a", "b", "b"]


def test_a_failure_lets_the_others_finish_and_a_second_run_resumes_there(paths, console):
    calls: list[str] = []
    broken = True

    def run(log: Log) -> None:
        with log.staged(paths.opt / "b") as folder:
            (folder / "half").touch()
            for number in range(40):
                log.write(f"line {number}")
            if broken:
                raise StepError("the mirror is away", "try again tomorrow")

    steps = [
        Step(name="b", key="1", run=run, outputs=(paths.opt / "b",), hint="never shown"),
        make(paths, "a", calls),
        make(paths, "c", calls, needs=("b",)),
        make(paths, "d", calls, needs=("c",)),
    ]
    outcome = bootstrap.bootstrap(paths, steps, console)
    assert outcome.done == ("a",)
    assert outcome.skipped == ("c", "d")
    assert not (paths.opt / "b").exists()

    bootstrap.report(outcome, console)
    text = printed(console)
    assert "b failed: the mirror is away" in text
    assert "line 39" in text and "line 3\n" not in text
    assert f"log: {paths.logs / 'b.log'}" in text
    assert "next: try again tomorrow" in text
    assert "line 3\n" in (paths.logs / "b.log").read_text()

    broken = False
    outcome = bootstrap.bootstrap(paths, steps, console)
    assert outcome.done == ("b", "c", "d")
    assert calls == ["a", "c", "d"]


def test_a_step_that_does_not_make_what_it_promised_has_failed(paths, console):
    step = Step(name="a", key="1", run=lambda _log: None, outputs=(paths.bin / "a",))
    (failure,) = bootstrap.bootstrap(paths, [step], console).failures
    assert str(paths.bin / "a") in failure.reason


def test_a_failed_update_leaves_the_earlier_installation(paths, console):
    calls: list[str] = []
    bootstrap.bootstrap(paths, [make(paths, "a", calls)], console)

    def run(log: Log) -> None:
        with log.staged(paths.opt / "a") as folder:
            (folder / "half").touch()
            log.run(["false"])

    newer = make(paths, "a", calls, key="2", run=run)
    (failure,) = bootstrap.bootstrap(paths, [newer], console).failures
    assert failure.reason == "false: exit code 1"
    assert (paths.opt / "a/file").read_text() == "1"


# Runs in a process of its own, since it gets a real Ctrl-C: a quick step, one that sleeps for long
# in a child process, and one that needs both.
INTERRUPTED = """
    import sys
    from pathlib import Path
    from rich.console import Console
    from tools.bootstrap import bootstrap
    from tools.paths import Paths
    from tools.step import Step

    home, slow = Path(sys.argv[1]), sys.argv[2]
    paths = Paths(root=home, home=home)

    def install(name, *command):
        def run(log):
            with log.staged(paths.opt / name) as folder:
                (folder / "half").touch()
                if command:
                    log.run(["sh", "-c", *command])
        return Step(name=name, key="1", run=run, outputs=(paths.opt / name,))

    steps = [install("quick"), install("slow", slow)]
    try:
        bootstrap(paths, steps, Console())
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_ends_the_running_steps_and_a_second_run_resumes(tmp_path):
    home = tmp_path / "home"
    ready = tmp_path / "ready"
    os.mkfifo(ready)

    def start(slow: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(INTERRUPTED), home, slow],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    first = start(f"echo $$ > {ready}; exec sleep 600")
    child = int(ready.read_text())  # returns when the slow step's command runs
    output = ""
    assert first.stdout is not None
    while "[quick] done" not in output:
        output += first.stdout.readline()
    first.send_signal(signal.SIGINT)
    output += first.communicate(timeout=WAIT_S)[0]
    assert output.endswith("interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert sorted(path.name for path in (home / "opt").iterdir()) == ["quick"]
    assert list((home / "tmp").iterdir()) == []

    again, _ = start("true").communicate(timeout=WAIT_S)
    assert "[quick] up to date" in again
    assert "[slow] done" in again


def test_two_at_the_same_time_do_the_work_once(paths, console):
    calls: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def run(_log: Log) -> None:
        calls.append("a")
        inside.set()
        assert go_on.wait(WAIT_S)

    steps = [Step(name="a", key="1", run=run)]
    first = threading.Thread(target=bootstrap.bootstrap, args=(paths, steps, console))
    first.start()
    assert inside.wait(WAIT_S)

    class Releasing(Console):
        """Lets the first one end as soon as the second one says that it waits."""

        def print(self, *objects, **settings) -> None:
            super().print(*objects, **settings)
            go_on.set()

    other = Releasing(file=io.StringIO())
    outcome = bootstrap.bootstrap(paths, steps, other)
    first.join(WAIT_S)
    assert calls == ["a"]
    assert outcome.up_to_date == ("a",)
    assert "waiting" in printed(other)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, "circle: a -> b -> c -> a"),
        ({"a": ("z",)}, "step 'a' needs 'z': expected one of \\['a'\\]"),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused_before_anything_runs(paths, needs, message):
    steps = [make(paths, name, [], needs=needed) for name, needed in needs.items()]
    with pytest.raises(ValueError, match=message):
        full_keys(steps)


def test_double_names_are_refused(paths):
    with pytest.raises(ValueError, match="'a'"):
        full_keys([make(paths, "a", []), make(paths, "a", [])])


def test_on_a_terminal_ended_steps_stay_and_running_ones_vanish(paths):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    bootstrap.bootstrap(paths, [make(paths, "a", [], doing="building [x]")], terminal)
    assert "a done in 0 s" in printed(terminal)
