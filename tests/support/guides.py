"""Guides of ``docs/`` run as they are printed: every fenced block of a page is a file, or a session that is typed and compared.

The info string of a block says what it is, and a block without a meaning fails::

    ```console            commands behind "$ ", each with all that it prints (stdout, then stderr) below it
    ```yaml demo.yaml     a file of that name, whatever its language, put into the working folder
    ```pycon              a Python session; "..." stands for anything, as in doctest
    ```python             statements; all Python blocks of a page share their names

What is printed has to be as in the page but for spacing, ids, dates, times and sizes in bytes; ``…`` stands for anything within a line,
and alone on a line for any lines. An id that the page shows is replaced in later commands by the one that this run drew in its place. A
command has to succeed, unless the next one is ``echo $?``. ``# comment`` behind a command is the shell's, and ``export NAME=VALUE`` holds
for the rest of the page. With GENOVAULT_GUIDES=write what does not fit is written into the page instead.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.shell import Shell
from tests.support.sources import ROOT

DOCS = ROOT / "docs"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ID = re.compile(r"(?:[\w.-]+(?:/\w+)*\+[0-9a-f]{8}\+[\w+/=]+)|\b(?:[a-z]+-)*[0-9a-f]{8,}(?:-[0-9a-f]+)*\b")  # vkeys, ids, digests
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?|\b\d\d:\d\d:\d\d\b")
SIZE = re.compile(r"\b[\d,.]+ (?:bytes|[kMG]B)\b")
OPERATORS = frozenset("|;&<>()$`*")
LAUNCHERS = {
    "genovault": "from cli.main import run",
    "genovault-verify": "from vault.audit.verify.__main__ import main as run",
    "crypt4gh": "from crypt4gh.__main__ import main as run",
    "crypt4gh-keygen": "from crypt4gh.keys.__main__ import main as run",
}


@dataclass
class Block:
    """A fenced block of a page, and where its text lies in it."""

    info: str
    text: str
    start: int
    end: int

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def file(self) -> str:
        """Name of the file that the block is, or nothing."""
        return self.info.partition(" ")[2].strip()


@dataclass
class Step:
    """One command of a session and what the page says that it prints."""

    command: str
    printed: str


def blocks(page: str) -> list[Block]:
    """Every fenced block. Raises AssertionError for a block that is nothing that can be run or written."""
    found = [Block(match[1].strip(), match[2], match.start(2), match.end(2)) for match in FENCE.finditer(page)]
    for block in found:
        known = block.file or block.language in {"console", "pycon", "python"}
        assert known, f"a block is neither a session nor a file: ```{block.info}\n{block.text[:80]}"
        assert block.language != "console" or block.text.startswith("$ "), f"a session begins with a command: {block.text[:80]}"
    return found


def steps(session: str) -> list[Step]:
    """The commands of a console block; a line that ends with a backslash goes on in the next."""
    found: list[Step] = []
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:[^\n]*\\\n)*[^\n]*\n?", part)
        assert command is not None
        found.append(Step(command[0].rstrip("\n"), part[command.end() :]))
    return found


def shape(line: str) -> str:
    """A line without what differs from run to run."""
    return " ".join(SIZE.sub("# bytes", TIME.sub("#", ID.sub("#", line))).split())


def fits(expected: str, printed: str) -> bool:
    """True if all that was printed is as the page says, ``…`` aside."""
    wanted = [shape(line) for line in expected.strip("\n").split("\n")]
    pattern = "".join(r"(?:[^\n]*\n)*" if line == "…" else re.escape(line).replace("…", "[^\n]*?") + r"\n" for line in wanted)
    return re.fullmatch(pattern, "".join(f"{shape(line)}\n" for line in printed.strip("\n").split("\n"))) is not None


class GuideRun:
    """One run of a page in a shell's folder. ``apart``: each command in a process of its own, as in a terminal."""

    def __init__(self, shell: Shell, *, apart: bool) -> None:
        self.shell = shell
        self.apart = apart
        self.names: dict[str, str] = {}  # id in the page -> id of this run
        self.globals: dict[str, object] = {"__name__": "guide"}
        self.last = 0
        programs = shell.folder / ".programs"
        programs.mkdir()
        for name, source in LAUNCHERS.items():
            (programs / name).write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sys; {source}; sys.exit(run())' \"$@\"\n")
            (programs / name).chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def command(self, line: str) -> str:
        """Run one command of a session; all that it printed."""
        line = re.sub("|".join(map(re.escape, self.names)) or r"(?!)", lambda found: self.names[found[0]], line).replace(
            "\\\n", ""
        )
        if line.strip() == "echo $?":
            return f"{self.last}\n"
        if line.startswith("export "):
            for pair in shlex.split(line)[1:]:
                name, _, value = pair.partition("=")
                self.shell.monkeypatch.setenv(name, value)
            return ""
        plain, _, file = line.partition(" > ")
        if self.apart or not plain.startswith("genovault ") or OPERATORS & set(plain + file) or "#" in line:
            environment = {**os.environ, "PATH": self.path, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                line, shell=True, cwd=self.shell.folder, env=environment, capture_output=True, text=True, check=False
            )
            self.last = done.returncode
            return done.stdout + done.stderr
        ran = self.shell.try_(line.removeprefix("genovault "))
        self.last = ran.code
        return ("" if file else ran.out) + ran.err

    def session(self, text: str) -> str:
        """Run a console block; it as it has to be printed, which is ``text`` where everything fits."""
        done, told = "", steps(text)
        for i, step in enumerate(told):
            printed = self.command(step.command)
            excused = [later.command.strip() for later in told[i + 1 : i + 2]] == ["echo $?"]
            assert self.last == 0 or excused or step.command == "echo $?", (step.command, self.last, printed)
            fit = fits(step.printed, printed)
            if not fit and os.environ.get("GENOVAULT_GUIDES") != "write":
                raise AssertionError(f"$ {step.command}\n--- printed\n{printed}\n--- the page\n{step.printed}")
            self._learn(step.printed, printed)
            if fit:
                printed = step.printed
            for mine, drawn in self.names.items():
                printed = printed.replace(drawn, mine)  # as later commands of the page call it
            done += f"$ {step.command}\n{printed}"
        return done

    def _learn(self, expected: str, printed: str) -> None:
        """Remember which ids stand for which, line by line as far as no line is left out."""
        for ours, theirs in zip(expected.split("\n"), printed.split("\n"), strict=False):
            if ours.strip() == "…":
                return
            pairs = zip(ID.findall(ours), ID.findall(theirs), strict=False)
            self.names |= {mine: drawn for mine, drawn in pairs if "…" not in ours and mine != drawn}

    def python(self, block: Block) -> None:
        """Run a Python block, as it stands or as a session."""
        if block.language == "python":
            exec(compile(block.text, "guide", "exec"), self.globals)  # a page of ours
            return
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        test = doctest.DocTest(doctest.DocTestParser().get_examples(block.text), self.globals, "guide", None, 0, block.text)
        told = io.StringIO()
        failed = doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=told.write, clear_globs=False).failed
        self.globals |= test.globs
        assert not failed, told.getvalue()


def run_guide(page: str, shell: Shell, *, apart: bool = False) -> None:
    """Run ``docs/PAGE`` from its first block to its last, in the shell's folder and from what is there.

    Raises AssertionError at the first command that fails or prints something else than the page says.
    """
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    run, written, at = GuideRun(shell, apart=apart), "", 0
    with contextlib.chdir(shell.folder):
        for block in blocks(text):
            new = block.text
            if block.language == "console":
                new = run.session(block.text)
            elif block.file:
                shell.write(block.file, block.text)
            else:
                run.python(block)
            written, at = written + text[at : block.start] + new, block.end
    if os.environ.get("GENOVAULT_GUIDES") == "write":
        path.write_text(written + text[at:], encoding="utf-8")


def pages_with_sessions() -> Iterator[Path]:
    """Pages of ``docs/`` that show somebody at work."""
    for path in sorted(DOCS.glob("*.md")):
        if any(match[1].startswith(("console", "pycon")) for match in FENCE.finditer(path.read_text(encoding="utf-8"))):
            yield path
