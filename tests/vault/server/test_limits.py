"""Limits by asker: buckets are bounded and refill, and threads go round among those who wait."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vault.server.limits import ASKER, Buckets, Turns


def test_a_bucket_lets_a_burst_through_then_its_rate():
    buckets = Buckets(rate=2.0, burst=3.0)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("a", 0.25) == 0.25
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("b", 0.5) == 0.0, "another's bucket is another"
    assert buckets.left("a", 100.0) == 3, "never more than a burst"


def test_what_is_owed_is_paid_before_more_is_taken():
    buckets = Buckets(rate=1.0, burst=2.0)
    buckets.charge("a", 0.0, 50.0)
    assert buckets.take("a", 0.0) == 3.0, "nobody owes more than a burst"
    assert buckets.take("a", 3.0) == 0.0


def test_buckets_are_bounded_whoever_asks():
    buckets = Buckets(rate=1.0, burst=1.0, most=100)
    for number in range(1_000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 100


def test_a_clock_that_goes_back_fills_no_bucket():
    buckets = Buckets(rate=1.0, burst=1.0)
    assert buckets.take("a", 10.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0


def test_who_asks_much_waits_behind_oneself():
    ran: list[str] = []
    gate = threading.Event()

    def work(name: str) -> None:
        gate.wait()
        ran.append(name)

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            turns = Turns(pool, 1, spare=0)

            async def ask(name: str) -> None:
                ASKER.set(name)
                await turns.run(lambda: work(name), patience=60)

            asked = [asyncio.create_task(ask("much")) for _ in range(5)]
            asked += [asyncio.create_task(ask("little"))]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert turns.waiting == 5
            gate.set()
            await asyncio.gather(*asked)
            assert turns.waiting == 0

    asyncio.run(main())
    assert ran.index("little") <= 2, ran


def test_nobody_alone_has_the_last_threads():
    gate, begun = threading.Event(), threading.Semaphore(0)

    def stuck() -> None:
        begun.release()
        gate.wait()

    async def main() -> None:
        with ThreadPoolExecutor(3) as pool:
            turns = Turns(pool, 3, spare=1)

            async def ask(name: str, work) -> object:
                ASKER.set(name)
                return await turns.run(work, patience=60)

            much = [asyncio.create_task(ask("much", stuck)) for _ in range(4)]
            for _ in range(2):
                await asyncio.to_thread(begun.acquire)
            assert await ask("little", lambda: "answered") == "answered"
            assert turns.waiting == 2
            gate.set()
            await asyncio.gather(*much)

    asyncio.run(main())


def test_who_has_waited_too_long_is_told_and_leaves_no_trace():
    gate = threading.Event()
    ran = []

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            turns = Turns(pool, 1, spare=0)
            first = asyncio.create_task(turns.run(gate.wait, patience=60))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                await turns.run(lambda: ran.append("late"), patience=0.01)
            gate.set()
            await first
            await turns.run(lambda: ran.append("next"), patience=60)

    asyncio.run(main())
    assert ran == ["next"]


def test_a_thread_that_nobody_waits_for_any_more_is_taken_until_it_ends():
    gate = threading.Event()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            turns = Turns(pool, 1, spare=0)
            first = asyncio.create_task(turns.run(gate.wait, patience=60))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            second = asyncio.create_task(turns.run(lambda: 1, patience=60))
            await asyncio.sleep(0.01)
            assert turns.waiting == 1
            gate.set()
            assert await second == 1

    asyncio.run(main())
