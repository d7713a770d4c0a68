"""The whole test suite as sessions of pytest that run side by side.

Sessions, not workers of one: after Ctrl-C each takes down what its tests have started, which a
worker is not given the time for.
"""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from rich.console import Console
from rich.text import Text

from tools.paths import Paths

# session -> its arguments. They take about as long: most of it waiting, so more than there are
# processors. Each has one stack, or one of each server, that its tests share.
SESSIONS: Mapping[str, Sequence[str]] = {
    "engine": ("-v", "tests/engine"),
    "containers": ("-v", "tests/dev", "tests/plugins"),
}
OTHERS = "others"  # folders that no session names
CLOSING = "short test summary info"  # where the closing lines of pytest begin


def run(paths: Paths, console: Console) -> int:
    """Shows what each session prints, then the closing lines of all; 0 when every test passed.

    Ctrl-C interrupts every session, and waits for it to end. Raises KeyboardInterrupt then.
    """
    # A command in the background of a script ignores Ctrl-C unless it is told not to.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sessions = {**SESSIONS, OTHERS: _others()}
    with ExitStack() as running, ThreadPoolExecutor(len(sessions)) as threads:
        started = {
            name: running.enter_context(_pytest(paths, name, arguments))
            for name, arguments in sessions.items()
        }
        followed = {
            name: threads.submit(_follow, name, process, console)
            for name, process in started.items()
        }
        interrupted = False
        while True:
            try:
                closing = {name: future.result() for name, future in followed.items()}
                break
            except KeyboardInterrupt:
                interrupted = True
                for process in started.values():
                    process.send_signal(signal.SIGINT)
    for name, lines in closing.items():
        console.rule(name)
        console.print(Text("\n".join(lines)), soft_wrap=True)
    if interrupted:
        raise KeyboardInterrupt
    return next((code for process in started.values() if (code := process.returncode)), 0)


def _others() -> tuple[str, ...]:
    named = [word for arguments in SESSIONS.values() for word in arguments if "/" in word]
    return ("tests", *(f"--ignore={folder}" for folder in named))


def _pytest(paths: Paths, name: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-u", "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}"),
            *arguments,
        ],
        cwd=paths.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Else a terminal's Ctrl-C reaches it too, and a second SIGINT stops its cleaning up.
        start_new_session=True,
    )


def _follow(name: str, process: subprocess.Popen[str], console: Console) -> list[str]:
    """Shows what the session prints; its closing lines."""
    lines: list[str] = []
    assert process.stdout is not None  # noqa: S101
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        console.print(Text(f"[{name}] {lines[-1]}"), soft_wrap=True)
    process.wait()
    start = next((place for place, line in enumerate(lines) if CLOSING in line), -1)
    return lines[start:]
