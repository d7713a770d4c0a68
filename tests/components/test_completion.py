import asyncio

import pytest
from pulumi.runtime.settings import SETTINGS

from components.completion import completion


@pytest.fixture
def outputs(monkeypatch):
    """What the SDK still waits for, in this test."""
    waited: set[asyncio.Task] = set()
    monkeypatch.setattr(SETTINGS, "outputs", waited)
    return waited


def ended(program):
    """Not asyncio.run, which takes the thread's loop away from the tests after it."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(program)
    finally:
        loop.close()


async def fails():
    raise ValueError("no room for it")


def test_it_waits_for_what_comes_of_what_came(outputs):
    came = []

    async def output(number):
        await asyncio.sleep(0)
        came.append(number)
        if number < 3:
            outputs.add(asyncio.ensure_future(output(number + 1)))

    async def program():
        outputs.add(asyncio.ensure_future(output(0)))
        await completion()

    ended(program())
    assert came == [0, 1, 2, 3]


@pytest.mark.parametrize("before", [True, False])
def test_it_leaves_a_failure_to_the_sdk_at_once(outputs, before):
    async def program():
        never, failing = asyncio.ensure_future(asyncio.sleep(3600)), asyncio.ensure_future(fails())
        outputs.update((never, failing))
        if before:
            await asyncio.wait([failing])
        await completion()
        assert not never.done()
        never.cancel()
        return failing.exception()

    assert str(ended(program())) == "no room for it"


def test_it_does_not_begin_anew_with_each_output(outputs, monkeypatch):
    waits = []
    wait = asyncio.wait

    def counted(tasks, **options):
        waits.append(len(tasks))
        return wait(tasks, **options)

    async def program():
        outputs.update(asyncio.ensure_future(asyncio.sleep(0)) for _ in range(100))
        await completion()

    monkeypatch.setattr(asyncio, "wait", counted)
    ended(program())
    assert waits == [100]
