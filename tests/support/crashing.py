"""Processes that are killed at a chosen instant of a piece of work.

Work is done by a child that counts the steps a crash could fall between (a commit about to happen and just happened, an object
stored, a file synced, a folder renamed or removed) and kills itself at the one asked for. Children come from a fork server that
has loaded the vault and opened nothing, so one costs a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIGKILLED = -signal.SIGKILL
LONGEST = 600  # seconds; the first child waits until its server has loaded, and compiled where nothing was, on a machine that may be busy
ROOT = Path(__file__).resolve().parents[2]

Work = Callable[..., None]


def killed_at(step: int, work: Work, *arguments: object) -> bool:
    """Do ``work(*arguments)`` in a child that is killed at its step ``step`` (from 1); False if it ended before."""
    child = _context().Process(target=_run, args=(step, work, arguments))
    child.start()
    child.join(LONGEST)
    if child.exitcode not in (0, SIGKILLED):
        raise AssertionError(f"the child ended with {child.exitcode}")
    return child.exitcode == SIGKILLED


def steps_survived(vault: Path, scratch: Path, work: Work, settled: Callable[[Path], None], *, every: int = 1) -> int:
    """Do ``work(folder)`` on copies of a vault, killed at its first step, its second and so on until it ends; ``settled`` judges each.

    Returns how many steps there were. ``every``: leaves out steps between.
    """
    for step in range(1, 400, every):
        folder = scratch / f"at{step}"
        shutil.copytree(vault, folder)
        ended = not killed_at(step, work, str(folder))
        settled(folder)
        shutil.rmtree(folder)
        if ended:
            return step - 1
    raise AssertionError("it never ended")


def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    # The server finds modules through the environment alone.
    path = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), path]))
    context.set_forkserver_preload(["tests.support.crashing", "tests.support.vaults", "tests.support.loaded_vault"])
    return context


def _run(step: int, work: Work, arguments: tuple[object, ...]) -> None:
    count_steps(step)
    work(*arguments)
    os._exit(0)  # a child that is not killed ends without closing anything either


def count_steps(step: int) -> None:
    """From here on this process kills itself at its step ``step``."""
    from sqlalchemy import Engine, event  # noqa: PLC0415 - loaded by the server

    from vault.storage.object_store import ObjectStore  # noqa: PLC0415 - as above

    left = [step]

    def tick(*_args: object, **_kwargs: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            tick()
            result = original(*args, **kwargs)
            tick()
            return result

        setattr(owner, name, stepped)

    event.listen(Engine, "commit", tick)
    around(ObjectStore, "put")
    around(ObjectStore, "delete")
    around(os, "rename")
    around(os, "fsync")
    around(shutil, "rmtree")
