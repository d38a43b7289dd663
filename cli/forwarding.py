"""Forwarding: a command line goes to the unlock agent of its vault and principal, where one runs, before anything heavy is imported.

The agent (``cli.agent``) has the program in memory and the slot open, and runs the command in a child of its own with our terminal, folder and
environment. Whatever stands in the way (no agent, other code, another vault or name) means that the command runs here, as if there were none.
Only the standard library is imported.

    the command's process: 4 bytes length, JSON, with descriptors 0, 1, 2 and the working folder; then a byte for each signal that it gets
    the agent's child:     "-" not here; "+" begun; then the exit code as a byte
"""

from __future__ import annotations

import array
import hashlib
import json
import os
import signal
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# Global options may stand anywhere on the line; no command may have an option of the same name (a test looks).
FLAGS = ("--json", "--no-agent")
VALUED = ("--vault", "--as", "--passphrase-file", "--key-file")

SERVED = frozenset(
    {
        "audit",
        "budget",
        "consent",
        "criteria",
        "dataset",
        "doctor",
        "extract",
        "match",
        "panel",
        "project",
        "pseudonym",
        "recipient",
        "release",
        "request",
        "status",
        "subject",
        "table",
    }
)
"""Commands that an agent runs. Those that make, restore or administer a vault take the factor itself."""

SWITCH = "GENOVAULT_AGENT"  # 0: without
REFUSED, BEGUN = b"-", b"+"
MOST_REQUEST = 8 << 20  # bytes: more than a system lets anybody type
BEGIN_SECONDS = 10.0
ENDED = 6  # exit code of a command whose process ended without one: what it was doing is unknown
_OWN_FACTOR = ("GENOVAULT_PASSPHRASE", "_GENOVAULT_COMPLETE")  # whoever gives these wants no agent
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP")


def forwarded(arguments: Sequence[str]) -> int | None:
    """Exit code of a command line that an agent has run; None where it has run nothing."""
    place = _place(arguments)
    if place is None:
        return None
    agent = connect(name_of(*place))
    if agent is None:
        return None
    with agent:
        agent.settimeout(BEGIN_SECONDS)
        try:
            _send(agent, place, arguments)
            begun = agent.recv(1) == BEGUN
        except OSError:
            return None  # whoever begins later finds this connection closed, and runs nothing
        agent.settimeout(None)
        return _wait(agent) if begun else None


def hoist_globals(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options moved to the front, where the parser wants them. What follows "--" stays."""
    front, rest = split_globals(arguments)
    return front + rest


def split_globals(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Global options, and the rest of a line."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument in FLAGS or argument.startswith(tuple(f"{name}=" for name in VALUED)):
            front.append(argument)
        elif argument in VALUED:
            value = next(pending, None)
            front += [argument] if value is None else [argument, value]
        else:
            rest.append(argument)
    return front, rest


def name_of(vault: str, principal: str) -> str:
    """Name of the socket of a vault's folder (resolved) and a principal ("" for the only one)."""
    return hashlib.sha256(json.dumps([vault, principal]).encode()).hexdigest()[:32]


def stamp() -> str:
    """Digest of which program this is: another installation, interpreter or version has another one."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib would cost a fifth of the answer
    places = (os.path.join(home, part) for part in ("genovault_start.py", "cli", "vault", "policies"))  # noqa: PTH118 - as above
    changed = [str(os.stat(place).st_mtime_ns) for place in places]  # noqa: PTH116 - as above
    return hashlib.sha256("\0".join([home, sys.executable, sys.version, *changed]).encode()).hexdigest()


def sockets(*, make: bool = False) -> int:
    """Descriptor of the folder of this user's sockets. Raises OSError: there is none, or it is another's or open to others."""
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    if not os.path.isdir(base):  # noqa: PTH112 - as above
        base = tempfile.gettempdir()
    path = os.path.join(base, f"genovault-{os.geteuid()}")  # noqa: PTH118 - as above
    if make:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)  # noqa: PTH102 - as above
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(folder)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        os.close(folder)
        raise PermissionError
    return folder


def connect(name: str) -> socket.socket | None:
    """A connection to the agent of this name, which this user has started; None without."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    agent = socket.socket(socket.AF_UNIX)
    try:
        folder = sockets()
        try:
            agent.connect(f"/proc/self/fd/{folder}/{name}")  # by the folder that was looked at, and short enough for any
        finally:
            os.close(folder)
        if peer(agent)[1] != os.geteuid():
            raise PermissionError
    except OSError:
        agent.close()
        return None
    return agent


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end of a Unix socket."""
    process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and its descriptors. Raises OSError, ValueError: it is none."""
    head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(4 * 4))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    while 0 < len(head) < 4:
        part = connection.recv(4 - len(head))
        if not part:
            break
        head += part
    if len(head) != 4 or len(descriptors) != 4:
        raise ValueError
    size = struct.unpack("!I", head)[0]
    if size > MOST_REQUEST:
        raise ValueError
    body = bytearray()
    while len(body) < size:
        part = connection.recv(min(1 << 16, size - len(body)))
        if not part:
            raise ValueError
        body += part
    return json.loads(body), list(descriptors)


def _place(arguments: Sequence[str]) -> tuple[str, str] | None:
    """Vault and principal of a line that an agent may run."""
    if os.environ.get(SWITCH) == "0" or any(name in os.environ for name in _OWN_FACTOR):
        return None
    front, rest = split_globals(arguments)
    if not rest or rest[0] not in SERVED or {"-h", "--help"} & set(rest) or "--no-agent" in front:
        return None
    given: dict[str, str] = {}
    pending = iter(front)
    for option in pending:
        name, equals, value = option.partition("=")
        if name in VALUED:
            given[name] = value if equals else next(pending, "")
    if "--passphrase-file" in given or "--key-file" in given:
        return None
    return place_of(given.get("--vault") or os.environ.get("GENOVAULT_HOME", ""), given.get("--as"))


def place_of(vault: str, principal: str | None) -> tuple[str, str] | None:
    """Folder of a vault, resolved, and the principal that is named; None where no vault is."""
    if not vault:
        return None
    home = os.environ.get("HOME")
    if home and (vault == "~" or vault.startswith("~/")):
        vault = home + vault[1:]
    return os.path.realpath(vault), principal or os.environ.get("GENOVAULT_PRINCIPAL", "")


def _send(agent: socket.socket, place: tuple[str, str], arguments: Sequence[str]) -> None:
    mask = os.umask(0o077)
    os.umask(mask)
    request = {
        "stamp": stamp(),
        "place": place,
        "arguments": list(arguments),
        "environment": dict(os.environ),
        "umask": mask,
        "encodings": [getattr(stream, "encoding", None) for stream in (sys.stdin, sys.stdout, sys.stderr)],
    }
    body = json.dumps(request).encode()
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rights = array.array("i", [0, 1, 2, folder])
        agent.sendmsg([struct.pack("!I", len(body))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    finally:
        os.close(folder)
    agent.sendall(body)


def _wait(agent: socket.socket) -> int:
    """The exit code; signals that come meanwhile are passed on."""

    def pass_on(number: int, _frame: object) -> None:
        with suppress(OSError):
            agent.send(bytes([number]))

    for name in _PASSED_ON:
        signal.signal(getattr(signal, name), pass_on)
    try:
        code = agent.recv(1)
    except OSError:
        code = b""
    if code:
        return code[0]
    sys.stderr.write("genovault: the command's process ended before it was done\nhint: genovault doctor\n")
    return ENDED
