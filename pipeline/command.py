"""What the pipeline's commands have in common: their arguments, and how they end."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from pipeline.config import ConfigError
from pipeline.progress import Progress, StepError


def parser(program: str, description: str | None, verbs: Sequence[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("verb", choices=verbs)
    made.add_argument("--config", type=Path, required=True, help="JSON file with the settings")
    return made


def exit_code(work: Callable[[], None], progress: Progress, again: str) -> int:
    """0 when the work is done, 1 when something failed, 2 for wrong settings, 130 when it was
    interrupted, by SIGTERM too. again: what to do then."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        work()
    except ConfigError as fault:
        print(fault, file=sys.stderr)
        return 2
    except StepError as error:
        progress.failed(error)
        return 1
    except KeyboardInterrupt:
        progress.say(f"Interrupted. {again}")
        return 130
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
