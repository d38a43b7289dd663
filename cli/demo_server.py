"""The demo's server and the engine that asks it: two processes beside the story, one with the keys of a service, one with a token alone."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vault.errors import UnavailableError
from vault.files.child_process import scrubbed, search_path

if TYPE_CHECKING:
    from cli.demo_stage import Stage

NEEDED = ("fastapi", "uvicorn", "httptools", "jinja2", "pyarrow", "httpx")  # the extras server and client
PATIENCE = 60.0  # seconds for what takes one
_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from cli.main import run; sys.exit(run())"


def can_serve() -> bool:
    """True where what a server and its client need is installed."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


@contextlib.contextmanager
def server(stage: Stage, key_file: Path) -> Iterator[Path]:
    """A server over the demo's vault in a process of its own, while it is used; its socket.

    Raises:
        UnavailableError: ``demo_server``: it does not begin.
    """
    folder = Path(tempfile.mkdtemp(prefix="genovault-"))  # of its own: the path of a socket is short
    socket = folder / "vault.sock"
    asked = ["--vault", str(stage.vault), "--as", "server", "--key-file", str(key_file), "serve", "--unix", str(socket)]
    stage.echo("genovault", "--as", "server", "--key-file", str(key_file), "serve", "--unix", "vault.sock", behind=True)
    command = [sys.executable, "-I", "-c", _START, json.dumps(search_path()), *asked]
    process = subprocess.Popen(command, env=scrubbed(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own program
    try:
        until = time.monotonic() + PATIENCE
        while not socket.is_socket():
            if process.poll() is not None or time.monotonic() > until:
                raise UnavailableError("demo_server", "the demo's server does not begin")
            time.sleep(0.05)
        yield socket
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Beside:
    """An engine that runs on, and prints as it goes."""

    printed: IO[str]

    def until(self, words: str) -> str:
        """Output up to the line that has these words, with it. Raises UnavailableError ``demo_engine``: it ends before."""
        lines = []
        for line in self.printed:
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise UnavailableError("demo_engine", "the demo's engine ended too soon")


@contextlib.contextmanager
def engine(stage: Stage, socket: Path, *arguments: str) -> Iterator[Beside]:
    """The example engine as a process that asks the server and runs on, while it is used. No secret is in its environment."""
    script = stage.engine_script()
    stage.echo("python", "examples/matching_engine/engine.py", "--unix", "vault.sock", *arguments, behind=True)
    environment = scrubbed() | {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    command = [sys.executable, str(script), "--unix", str(socket), *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - our own program
    try:
        if process.stdout is None:
            raise UnavailableError("demo_engine", "the demo's engine does not print")
        yield Beside(process.stdout)
    finally:
        process.terminate()
        process.communicate()
