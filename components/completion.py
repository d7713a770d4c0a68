"""The end of a program: waiting for all that it has declared."""

import asyncio

from pulumi.runtime.settings import SETTINGS


async def completion() -> None:
    """Returns when every output is known, or when one has failed.

    The SDK waits for them at a program's end, too, but with a new wait for all of them after
    each that comes: of 500 resources that is half of what their program does. To be awaited in
    a function that `pulumi.run` is given; what failed is left to the SDK, which tells of it.
    """
    while (outputs := _outputs()) and not any(_failed(one) for one in outputs):
        await asyncio.wait(outputs, return_when=asyncio.FIRST_EXCEPTION)


def _outputs() -> list[asyncio.Task[object]]:
    with SETTINGS.lock:
        return [one for one in SETTINGS.outputs if not one.done() or _failed(one)]


def _failed(output: asyncio.Task[object]) -> bool:
    return output.done() and (output.cancelled() or output.exception() is not None)
