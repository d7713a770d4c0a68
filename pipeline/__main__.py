"""Command line of the pipeline.

`run`: everything, once. `build`: dbt alone. `serve`: runs by schedule, with metrics.
`summary`: rows per layer. Ends with 0 when all went well, 1 when a step failed, 2 for wrong
settings or arguments, 3 when another run of the stack is in progress, 130 when interrupted.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from pipeline import batch
from pipeline.config import Config, ConfigError, load
from pipeline.history import RunInProgress
from pipeline.progress import Progress, StepError
from pipeline.serve import serve
from pipeline.summary import row_counts

VERBS = ("run", "build", "serve", "summary")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--config", type=Path, required=True, help="JSON file with the settings")
    options = parser.parse_args(arguments)
    progress = Progress()
    try:
        config = load(options.config)
        # For `serve` too: uvicorn passes the signal on when it has shut down.
        signal.signal(signal.SIGTERM, _interrupt)
        if options.verb == "serve":
            serve(config, options.config.absolute())
        else:
            _once(options.verb, config, progress)
    except ConfigError as fault:
        print(fault, file=sys.stderr)
        return 2
    except StepError as error:
        progress.failed(error)
        return 1
    except RunInProgress as other:
        progress.say(f"{other}. Wait for it to end, then try again.")
        return 3
    except KeyboardInterrupt:
        progress.say("Interrupted. Run it again to continue: every step may be repeated.")
        return 130
    return 0


def _once(verb: str, config: Config, progress: Progress) -> None:
    if verb == "run":
        batch.run(config, progress)
    elif verb == "build":
        batch.build(config, progress)
    else:
        _print_summary(config, progress.console)


def _print_summary(config: Config, console: Console) -> None:
    table = Table("layer", "dataset")
    table.add_column("rows", justify="right")
    for counted in row_counts(config):
        rows = counted.fault if counted.rows is None else f"{counted.rows:,}"
        table.add_row(counted.layer, counted.dataset, rows)
    console.print(table)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
