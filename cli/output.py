"""Output of commands. Results go to stdout, progress and errors to stderr.

With ``--json`` stdout holds exactly one JSON document, sorted keys, and nothing else; a command that fails prints
``{"error": {...}}`` there instead of its result. Without it stdout is for people: lines and tables, of natural width when it is
not a terminal so that nothing is cut off in a pipe.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from vault.errors import UnavailableError
from vault.files.plain_text import printable

if TYPE_CHECKING:
    from rich.progress import Progress

_PROGRESS_AFTER = 1.0  # seconds; what is quicker needs no bar
_PIPE_WIDTH = 100_000  # columns: wider than any table


@dataclass(frozen=True)
class Output:
    """One run's way of showing things; ``json`` is the global option."""

    json: bool = False

    def document(self, value: Mapping[str, object]) -> None:
        """The result for programs: printed with --json, else nothing."""
        if self.json:
            print_json(value)

    def line(self, text: str = "") -> None:
        """A line for people: nothing with --json."""
        if not self.json:
            sys.stdout.write(f"{printable(text)}\n")

    def warn(self, text: str) -> None:
        """A line on stderr, also with --json."""
        sys.stderr.write(f"genovault: {printable(text)}\n")

    def data(self, text: str) -> None:
        """Text for a file, such as CSV: as it is into a pipe or a file, as ``line`` shows it on a terminal; nothing with --json."""
        if not self.json:
            sys.stdout.write("".join(f"{printable(line)}\n" for line in text.splitlines()) if sys.stdout.isatty() else text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for people: nothing with --json. None is shown empty."""
        if self.json:
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(Text(column, style="bold"), overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        console = Console(file=sys.stdout, width=width, highlight=False)
        with console.capture() as capture:
            console.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))

    @contextmanager
    def reserving(self, path: Path | None) -> Iterator[Callable[[str], None]]:
        """Writer of an act's result into a new file that is made before the act; without a path it goes nowhere.

        What cannot be written after the act is a warning: the act is done, and done again it would be done twice.
        Raises as ``vault.files.private_files.new_text_file``.
        """
        if path is None:
            yield lambda _text: None
            return
        from vault.files.private_files import reserved_file

        with reserved_file(path) as reserved:

            def write(text: str) -> None:
                if failed := reserved.write(text):
                    self.warn(f"it is done, but {failed}")

            yield write

    @contextmanager
    def progress(self, what: str, *, unit: str) -> Iterator[ProgressBar]:
        """A bar on stderr, with rate and time left, for work that takes more than a second, if stderr is a terminal.

        ``unit``: what is counted; "bytes" are shown as kB, MB and so on.
        """
        bar = ProgressBar(what, unit=unit, shown=sys.stderr.isatty())
        try:
            yield bar
        finally:
            bar.close()


class ProgressBar:
    """Progress callback (done, total); total None while it is unknown."""

    def __init__(self, what: str, *, unit: str, shown: bool) -> None:
        self._what = what
        self._unit = unit
        self._shown = shown
        self._started = time.monotonic()
        self._progress: Progress | None = None

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show how far the work is; ``note`` says more of what is done."""
        if not self._shown or time.monotonic() - self._started < _PROGRESS_AFTER:
            return
        if self._progress is None:
            self._progress = _new_progress()
            self._progress.add_task(printable(self._what), total=total, rate="", note="")
            self._progress.start()
        rate = f"{self._amount(done / (time.monotonic() - self._started))}/s"
        self._progress.update(self._progress.task_ids[0], completed=done, total=total, rate=rate, note=printable(note))

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _amount(self, count: float) -> str:
        from rich.filesize import decimal

        return decimal(int(count)) if self._unit == "bytes" else f"{count:,.0f} {self._unit}"


class _ToldStdout:
    """Standard output that raises an error of ours where it takes nothing, and is the stream itself in all else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _telling():
            return self._stream.write(text)

    def flush(self) -> None:
        with _telling():
            self._stream.flush()


@contextmanager
def told_stdout() -> Iterator[None]:
    """Have standard output raise UnavailableError ``output_unwritable`` where it takes nothing; BrokenPipeError stays what it is."""
    before = sys.stdout
    sys.stdout = cast("TextIO", _ToldStdout(before))
    try:
        yield
    finally:
        sys.stdout = before


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnavailableError(
            "output_unwritable",
            f"standard output: {error.strerror or 'cannot be written'}; what was asked for may be done all the same",
            hint="look before you repeat it: genovault audit log",
        ) from None


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 notice", "2,504 people". ``many``: the plural, if it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def print_json(value: Mapping[str, object]) -> None:
    """One document on stdout, with escapes for what would drive a terminal. Floats that JSON lacks (NaN) and bytes are bugs and raise."""
    plain = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace(
        "-", ""
    ) != "utf8"  # a terminal of another encoding
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=plain, allow_nan=False, default=_plain)
    sys.stdout.write("".join(f"{line if line.isprintable() else _escaped(line)}\n" for line in text.split("\n")))


def _escaped(line: str) -> str:
    """JSON escapes (in pairs beyond U+FFFF) for the characters that are not printable."""
    return "".join(c if c.isprintable() else "\\u007f" if c == "\x7f" else json.dumps(c)[1:-1] for c in line)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def _new_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
