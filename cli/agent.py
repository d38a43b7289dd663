"""The unlock agent: a process that holds one principal's open slot for a while, and runs that principal's commands (``cli.forwarding``).

It holds keys and nothing else: no database is open in it and no thread runs, so that each command's process, a fork of it, begins like any other.
Every command reads the keystore anew: a slot that was removed, or whose keys were renewed, opens nothing any more and ends the agent. The slot's root key is
not held: who administers shows the passphrase. Time counts while the machine sleeps.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cli import forwarding
from vault.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from vault.session.unlocked_vault import Held

COMMANDS_AT_ONCE = 16
REQUEST_SECONDS = 10.0  # for a request to come whole
LOOK_SECONDS = 10.0  # between two looks at the clock, which the system does not stop while it sleeps

WARM = (
    "pysqlite3.dbapi2",
    "rich.table",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "vault.access.accounting",
    "vault.access.dataset_description",
    "vault.access.disclosure.budget_book",
    "vault.audit.reports",
    "vault.consent.coverage",
    "vault.consent.explanations",
    "vault.consent.people",
    "vault.consent.recording",
    "vault.consent.withdrawal_effect",
    "vault.consent.work_queue",
    "vault.gate",
    "vault.operations.corrections.merge_proposals",
    "vault.operations.doctor",
    "vault.operations.lost_keys",
    "vault.operations.recovery",
    "vault.operations.unopened",
)
"""Modules, beside those of the commands, that are in memory before the first command; each that is missing costs it its import."""


def begin(held: Held, place: tuple[str, str], *, idle: float, most: float) -> None:
    """Start an agent beside this process, in place of one that runs for the same vault and principal.

    ``idle``: seconds after the last command, ``most``: in all, after which it ends.

    Raises:
        UsageError: ``agent_unsupported``. UnavailableError: ``agent_failed``.
    """
    if not hasattr(socket, "SO_PEERCRED") or not hasattr(time, "CLOCK_BOOTTIME"):
        raise UsageError("agent_unsupported", "this system cannot tell an agent who asks", hint="unlock works on Linux")
    name = forwarding.name_of(*place)
    end(name)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _detach(held, place, name, told, tell, idle=idle, most=most)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        begun = pipe.read(1)
    os.waitpid(child, 0)
    if not begun:
        raise UnavailableError(
            "agent_failed", "the agent could not begin to listen", hint="$XDG_RUNTIME_DIR, or /tmp, needs a folder of yours alone"
        )


def end(name: str) -> bool:
    """End the agent of this name; what it runs goes on. False where there is none."""
    agent = forwarding.connect(name)
    if agent is None:
        return False
    with agent:
        process, _ = forwarding.peer(agent)
        ended = os.pidfd_open(process)
        try:
            os.kill(process, signal.SIGTERM)
            select.select([ended], [], [], REQUEST_SECONDS)
        finally:
            os.close(ended)
    _forget(name)
    return True


def running() -> list[str]:
    """Names of this user's agents."""
    try:
        folder = forwarding.sockets()
    except OSError:
        return []
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - pathlib knows no descriptors
    finally:
        os.close(folder)


def _forget(name: str) -> None:
    with suppress(OSError):
        folder = forwarding.sockets()
        try:
            os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)


def _detach(held: Held, place: tuple[str, str], name: str, told: int, tell: int, *, idle: float, most: float) -> NoReturn:
    """Become a process of its own, and serve; nothing of it ever returns into the command that began it."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.close(told)
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        listener = _listen(name)
        os.write(tell, b"+")
        os.close(tell)
        _warm()
        _serve(listener, lambda connection: _run(connection, held, place), idle=idle, most=most)
        _forget(name)
        os._exit(0)
    finally:
        os._exit(1)


def _listen(name: str) -> socket.socket:
    folder = forwarding.sockets(make=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)  # of an agent that was killed: a living one has just been ended
        listener.bind(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.umask(before)
        os.close(folder)
    listener.listen(COMMANDS_AT_ONCE)
    return listener


def _warm() -> None:
    from cli.main import COMMANDS

    for module in (*{entry.module for name, entry in COMMANDS.items() if name in forwarding.SERVED}, *WARM):
        import_module(module)
    import sqlalchemy.orm

    sqlalchemy.orm.configure_mappers()
    gc.collect()
    gc.freeze()  # what is there now is never collected, and stays one copy for all


def _serve(listener: socket.socket, run: Callable[[socket.socket], NoReturn], *, idle: float, most: float) -> None:
    """Fork a process for each connection of this user, until the time is over."""
    begun = last = _now()
    children: set[int] = set()
    while True:
        left = min(begun + most, last + idle) - _now()
        if left <= 0:
            return
        ready, _, _ = select.select([listener], [], [], min(left, LOOK_SECONDS))
        children = {child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)}
        if not ready or min(begun + most, last + idle) <= _now():
            continue
        connection, _ = listener.accept()
        with connection:
            if forwarding.peer(connection)[1] != os.geteuid() or len(children) >= COMMANDS_AT_ONCE:
                continue
            child = os.fork()
            if child == 0:
                listener.close()
                run(connection)
        children.add(child)
        last = _now()


def _now() -> float:
    """Seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _run(connection: socket.socket, held: Held, place: tuple[str, str]) -> NoReturn:
    """Run one command in this process, which is its own, and tell its exit code."""
    agent = os.getppid()
    try:
        connection.settimeout(REQUEST_SECONDS)
        request, descriptors = forwarding.receive(connection)
        if request["stamp"] != forwarding.stamp() or tuple(request["place"]) != place:
            connection.send(forwarding.REFUSED)
            os._exit(0)
        connection.settimeout(None)
        from vault.session.unlocked_vault import is_held

        if not is_held(Path(place[0]), held) and os.getppid() == agent:
            os.kill(agent, signal.SIGTERM)  # the command itself says why
        _take_over(request, descriptors)
        connection.send(forwarding.BEGUN)
        threading.Thread(target=_pass_on, args=(connection,), daemon=True).start()

        from cli.context import hold
        from cli.main import run_whole

        hold(held)
        code = run_whole(request["arguments"])
        connection.send(bytes([code & 0xFF]))
        os._exit(code)
    finally:
        os._exit(forwarding.ENDED)


def _take_over(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make the terminal, folder, environment and umask of whoever asks this process's own."""
    for standard, given in enumerate(descriptors[:3]):
        os.dup2(given, standard)
    os.fchdir(descriptors[3])
    for given in descriptors:
        os.close(given)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["umask"])
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    encodings = request["encodings"]
    sys.stdin = open(0, encoding=encodings[0], closefd=False)  # noqa: SIM115 - as long as the process
    for name, number in (("stdout", 1), ("stderr", 2)):
        buffering = 1 if number == 2 or os.isatty(number) else -1
        stream = open(number, "w", buffering=buffering, encoding=encodings[number], errors="backslashreplace", closefd=False)  # noqa: SIM115 - as above
        setattr(sys, name, stream)


def _pass_on(connection: socket.socket) -> None:
    """Give this process the signals that whoever asked got; one who is gone has hung up."""
    main = threading.main_thread().ident or 0
    while True:
        try:
            number = connection.recv(1)
        except OSError:
            number = b""
        if number and number[0] not in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            continue
        signal.pthread_kill(main, number[0] if number else signal.SIGTERM)
        if not number:
            return
