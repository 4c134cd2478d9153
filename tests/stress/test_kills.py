"""A small run of `kills`: 25 deaths. The command itself makes a thousand."""

import asyncio

import pytest

from stress.books import dump
from stress.run import Run


@pytest.mark.timeout_s(240)
def test_kills_at_random_moments_leave_every_partys_books_even(tmp_path):
    tmp_path.chmod(0o755)

    async def play():
        return await Run(tmp_path, kills=25, seed=20, clients=6, plugins_per_source=3).play()
    figures = asyncio.run(play())
    assert figures["kills"] >= 25 and figures["ended"].get("fulfilled", 0) > 0
    assert figures["violations"] == [], dump(figures)
