"""genovault's commands as a person at a shell gives them, run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cli.main
from tests.support import documents
from tests.support.vcf_text import SmallVcf, vcf

PASSPHRASE = "correct horse canary staple"


@dataclass(frozen=True)
class Ran:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The code of the error that --json shows."""
        return str(json.loads(self.out)["error"]["code"])


class Shell:
    """A folder, an environment, and the commands run there. Remembers everything that was ever printed.

    ``documented``: each document that --json prints is held to its published schema.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, documented: bool = False) -> None:
        self.documented = documented
        self.folder = folder
        self.vault = folder / "v"
        self.monkeypatch = monkeypatch
        self.printed: list[Ran] = []
        monkeypatch.delenv("GENOVAULT_PRINCIPAL", raising=False)
        monkeypatch.setenv("GENOVAULT_DEBUG", "1")  # a bug would show where it is
        monkeypatch.setenv("GENOVAULT_HOME", str(self.vault))
        monkeypatch.setenv("GENOVAULT_PASSPHRASE", PASSPHRASE)
        monkeypatch.setenv("TZ", "UTC")  # which init takes for the vault's days
        monkeypatch.chdir(folder)

    def try_(self, line: str) -> Ran:
        """Run one line; ``> FILE`` at its end keeps stdout there."""
        command, _, file = line.partition(" > ")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main.run(shlex.split(command))
        ran = Ran(code, out.getvalue(), err.getvalue())
        if self.documented and "--json" in shlex.split(command) and ran.out:
            documents.check(shlex.split(command), ran.out)
        self.printed.append(ran)
        assert "Traceback" not in ran.err, ran.err
        if file:
            (self.folder / file).write_text(ran.out)
        return ran

    def run(self, line: str) -> Ran:
        """Run one line that must succeed."""
        ran = self.try_(line)
        assert ran.code == 0, f"{line}: {ran.code} {ran.err}"
        return ran

    def script(self, *lines: str) -> Ran:
        """Run lines that must all succeed; the last one's output."""
        return [self.run(line) for line in lines][-1]

    def init(self) -> None:
        """A vault that opens at once."""
        self.run("init v --steward ann --argon2-profile test-only")

    def write(self, name: str, text: str | bytes) -> Path:
        """A file in the folder, for its owner alone, as keys have to be."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o600)
        return path


def cohort(samples: int = 12) -> SmallVcf:
    """A few people on two contigs: common, rare, multi-allelic and missing calls."""
    names = " ".join(f"SAMPLE_{i}" for i in range(1, samples + 1))

    def row(site: str, *calls: str) -> str:
        return f"{site} {' '.join(calls[i % len(calls)] for i in range(samples))}"

    return vcf(
        names,
        row("22 16000100 A G", "0|1", "1|1", "0|0"),
        row("22 16000200 C T,G", "0|2", "0|0", "./.", "1|0"),
        row("22 16000300 G GA", "0/1", "0|0"),
        row("22 16100001 T C", "0|0", "0|1"),
        row("X 500 G A", "0|1", "0|0", "1|1"),
    )
