"""What tests with asyncio clients share."""

import asyncio

import pytest


@pytest.fixture
def loop():
    """slixmpp takes the loop of the thread."""
    one = asyncio.new_event_loop()
    asyncio.set_event_loop(one)
    yield one
    left = asyncio.all_tasks(one)
    for task in left:
        task.cancel()
    one.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    one.close()
