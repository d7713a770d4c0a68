"""Command line of the pipeline.

`run`: everything, once. `build`: dbt alone. `serve`: runs by schedule, with metrics.
`summary`: rows per layer. Ends with 0 when all went well, 1 when a step failed, 2 for wrong
settings or arguments, 3 when another run of the stack is in progress, 130 when interrupted.
"""

import sys

from rich.console import Console
from rich.table import Table

from pipeline import batch, command
from pipeline.config import Config, load
from pipeline.history import RunInProgress
from pipeline.progress import Progress
from pipeline.serve import serve
from pipeline.summary import row_counts

AGAIN = "Run it again to continue: every step may be repeated."
VERBS = ("run", "build", "serve", "summary")


def main(arguments: list[str] | None = None) -> int:
    options = command.parser("python -m pipeline", __doc__, VERBS).parse_args(arguments)
    progress = Progress()

    def work() -> None:
        config = load(options.config)
        if options.verb == "serve":
            # Its uvicorn passes a SIGTERM on when it has shut down.
            serve(config, options.config.absolute())
        else:
            _once(options.verb, config, progress)

    try:
        return command.exit_code(work, progress, AGAIN)
    except RunInProgress as other:
        progress.say(f"{other}. Wait for it to end, then try again.")
        return 3


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


if __name__ == "__main__":
    sys.exit(main())
