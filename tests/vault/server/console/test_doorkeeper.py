"""The doorkeeper of the login: few unlocks at a time, and a short queue before them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from vault.server.console import login
from vault.server.problems import HttpProblem


def test_who_waits_in_a_long_queue_is_told_at_once():
    async def told():
        keeper = login.Doorkeeper()
        async with AsyncExitStack() as turns:
            for _ in range(login.AT_ONCE):
                await turns.enter_async_context(keeper.turn())
            others = [asyncio.create_task(turns.enter_async_context(keeper.turn())) for _ in range(login.QUEUE - login.AT_ONCE)]
            await asyncio.sleep(0)
            with pytest.raises(HttpProblem) as refused:
                await turns.enter_async_context(keeper.turn())
            for one in others:
                one.cancel()
        return refused.value.status

    assert asyncio.run(told()) == 503


def test_attempts_from_elsewhere_keep_nobody_out():
    keeper = login.Doorkeeper(clock=lambda: 0.0)
    assert keeper.admits("sam", "192.0.2.1")
    assert not keeper.admits("sam", "192.0.2.1")
    assert keeper.admits("sam", "192.0.2.2")
