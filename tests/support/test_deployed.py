"""What tests start can end by itself when they are interrupted."""

import os
import signal
import sys
import threading

import pytest

from tests.services.running import wait_until
from tests.support.deployed import interruptible

# Ends as the engine does: it takes its time after SIGINT, and a second one would cut that short.
PROGRAM = """
import pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
(folder / "started").touch()
signal.sigwait({signal.SIGINT})
(folder / "ended").write_text(str(signal.SIGINT in signal.sigpending()))
"""


def test_an_interrupt_reaches_the_program_once_and_is_waited_for(tmp_path):
    def interrupt() -> None:
        wait_until((tmp_path / "started").exists, 30)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        interruptible([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=tmp_path)
    assert (tmp_path / "ended").read_text() == "False"


def test_what_a_program_prints_and_its_status_come_back(tmp_path):
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = interruptible([sys.executable, "-c", program], cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)
