"""The command line as people start it, with an unlock agent in a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import forwarding
from tests.support import vaults

COMMAND = [sys.executable, "-c", "import genovault_start; genovault_start.command()"]


@dataclass(frozen=True)
class Desk:
    """A vault, and a runtime folder in which its agent listens."""

    vault: Path
    runtime: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GENOVAULT_PASS")}
        return {**kept, "GENOVAULT_HOME": str(self.vault), "XDG_RUNTIME_DIR": str(self.runtime)}

    def run(self, *line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal and without a passphrase."""
        return subprocess.run(
            [*COMMAND, *line],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def unlock(self, *options: str) -> None:
        """Start an agent for the only principal."""
        ran = self.run("unlock", *options, GENOVAULT_PASSPHRASE=vaults.PASSPHRASE)
        assert ran.returncode == 0, ran.stderr

    @property
    def name(self) -> str:
        """Name of the agent's socket."""
        return forwarding.name_of(str(self.vault.resolve()), "")

    @property
    def socket(self) -> Path:
        return self.runtime / f"genovault-{os.geteuid()}" / self.name

    def agent(self, monkeypatch) -> int:
        """Process of the agent; 0 without."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(self.runtime))
        found = forwarding.connect(self.name)
        if found is None:
            return 0
        with found:
            return forwarding.peer(found)[0]


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A vault of one steward; whatever was unlocked is locked at the end."""
    runtime = Path(tempfile.mkdtemp(prefix="gv-"))  # short: a test's own calls name the socket whole
    one = Desk(vaults.copy(folder), runtime)
    try:
        yield one
    finally:
        one.run("lock")
        shutil.rmtree(runtime, ignore_errors=True)


def children(process: int) -> list[int]:
    """Living processes that a process has begun."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[1]) == process and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def wait_until(held: Callable[[], object]) -> None:
    for _ in range(300):
        if held():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")
