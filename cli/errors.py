"""Error output, and the table from exception to exit code.

On stderr: ``genovault: <what happened>``, one line; then, where there is one, ``hint: <what to do>``; then every problem of a
rejected file on its own line. With --json the same as a document on stdout:

    {"error": {"code": "sheet_rejected", "exit": 4, "hint": "…", "message": "…", "problems": [{"line": 7, …}]}}

Exit codes: 0 done, 2 usage, 3 refused by policy, 4 bad or unknown input, 5 integrity failure, 6 locked or unavailable, 70 our bug,
130 interrupted, 141 the reader of stdout went away. A traceback is shown for a bug only, only with GENOVAULT_DEBUG=1, and then
without local variables and without messages, which may hold private data.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from hashlib import sha256
from pathlib import PurePath
from types import TracebackType

import typer

from cli.output import Output, print_json
from policies.errors import PolicyInputError
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.files.plain_text import printable

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (UsageError, 2),
    (typer.TyperException, 2),
    (RefusedError, 3),
    (InputError, 4),
    (PolicyInputError, 4),
    (IntegrityError, 5),
    (UnavailableError, 6),
    (typer.Abort, 6),  # the terminal closed in the middle of a question
)
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141

_BYTES = "surrogates not allowed"  # how such text comes out of the command line: nothing of ours makes any
DEBUG_VARIABLE = "GENOVAULT_DEBUG"
_EXAMPLES = 3  # lines that are named of a kind of problem
_SUMMARISED = 5  # problems that a rejected sheet's own message spells out (vault.files.csv_sheets); a policy's spells out one


@dataclass(frozen=True)
class ErrorReport:
    """One error as it is printed: exit code, code, message, hint and problems."""

    exit: int
    code: str
    message: str
    hint: str = ""
    problems: tuple[dict[str, object], ...] = ()


def tell(error: Exception, output: Output) -> int:
    """Print an error on stderr, with --json as a document on stdout too; the exit code."""
    report = describe(error)
    lines = [f"genovault: {report.message}"]
    if report.hint:
        lines.append(f"hint: {report.hint}")
    if len(report.problems) > (1 if isinstance(error, PolicyInputError) else _SUMMARISED):
        lines += [f"  {line}" for line in _problem_lines(report.problems)]
    sys.stderr.write("".join(f"{printable(' '.join(line.splitlines()))}\n" for line in lines))
    if report.exit == EXIT_BUG and os.environ.get(DEBUG_VARIABLE) == "1":
        sys.stderr.write(_bare_traceback(error))
    if output.json:
        fields = {"code": report.code, "exit": report.exit, "hint": report.hint, "message": report.message}
        print_json({"error": {**fields, "problems": list(report.problems)} if report.problems else fields})
    return report.exit


def tell_unseen(error: BaseException | None) -> None:
    """Print a bug that no command can report, of a thread or of a destructor: as ``tell`` does, so without messages and values."""
    if error is None or isinstance(error, SystemExit):
        return
    sys.stderr.write(f"genovault: this is a bug in genovault (reference {reference(error)})\n")
    if os.environ.get(DEBUG_VARIABLE) == "1":
        sys.stderr.write(_bare_traceback(error))


def describe(error: Exception) -> ErrorReport:
    """The report of any exception."""
    code = exit_code(error)
    if isinstance(error, UnicodeEncodeError) and error.reason == _BYTES:
        return ErrorReport(exit=2, code="not_text", message="what was typed holds bytes that are not UTF-8 text")
    if code == EXIT_BUG:
        message = f"this is a bug in genovault (reference {reference(error)})"
        hint = f"please report it with this reference; {DEBUG_VARIABLE}=1 shows where it happened"
        return ErrorReport(exit=code, code="bug", message=message, hint=hint)
    if isinstance(error, typer.TyperException):
        return ErrorReport(exit=code, code="usage", message=_lowered(error.format_message()), hint=_usage_hint(error))
    if isinstance(error, typer.Abort):
        return ErrorReport(exit=code, code="no_answer", message="the question was not answered")
    found = getattr(error, "problems", ())
    problems = tuple(asdict(problem) for problem in found if is_dataclass(problem) and not isinstance(problem, type))
    only = isinstance(error, PolicyInputError) and len(problems) == 1  # its text has the place, which no list below tells
    return ErrorReport(
        exit=code,
        code=getattr(error, "code", "unknown"),
        message=str(error) if only else getattr(error, "message", str(error)),
        hint=getattr(error, "hint", ""),
        problems=problems,
    )


def exit_code(error: Exception) -> int:
    """The exit code of an exception: the table's, or that of a bug."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_BUG)


def reference(error: BaseException) -> str:
    """12 hex digits that name the place of a bug: the same bug has the same reference, and it tells nothing of the data."""
    digest = sha256()
    for kind, frames in _chain(error):
        digest.update(kind.encode())
        for frame in frames:
            digest.update(f"|{PurePath(frame.filename).name}:{frame.name}".encode())
    return digest.hexdigest()[:12]


def _bare_traceback(error: BaseException) -> str:
    parts = []
    for kind, frames in _chain(error):
        parts += ["Traceback (without messages and values):\n", *traceback.format_list(frames), f"{kind}\n"]
    return "".join(parts)


def _chain(error: BaseException) -> list[tuple[str, list[traceback.FrameSummary]]]:
    """(type, frames) of the error and of what it came from, outermost first."""
    links: list[tuple[str, list[traceback.FrameSummary]]] = []
    current: BaseException | None = error
    while current is not None:
        links.append((type(current).__name__, _frames(current.__traceback__)))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return links


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(tb))


def _problem_lines(problems: Sequence[dict[str, object]]) -> list[str]:
    """A line for each problem, or for each kind where one kind has many: with its number and the first lines that have it."""
    kinds: dict[tuple[object, object], list[dict[str, object]]] = {}
    for problem in problems:
        kinds.setdefault((problem.get("column") or problem.get("place"), _reason(problem)), []).append(problem)
    found = []
    for alike in kinds.values():
        places = [problem.get("line") for problem in alike]
        if len(alike) <= _EXAMPLES or not all(places):
            found += [_problem_line(problem) for problem in alike]
            continue
        column = alike[0].get("column")
        shown = ", ".join(str(place) for place in places[:_EXAMPLES])
        found.append(f"{len(alike):,} lines{f', {column}' if column else ''}: {_reason(alike[0])} (lines {shown} …)")
    return found


def _reason(problem: dict[str, object]) -> object:
    return problem.get("reason") or problem.get("message") or problem.get("code")


def _problem_line(problem: dict[str, object]) -> str:
    place = f"line {problem['line']}" if problem.get("line") else str(problem.get("place") or "")
    if problem.get("column"):
        place = f"{place}, {problem['column']}"
    what = _reason(problem)
    return f"{place}: {what}" if place else f"{what}"


def _usage_hint(error: typer.TyperException) -> str:
    """The help of the command that was mistyped, or of the group."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "genovault")
    lists = hasattr(getattr(context, "command", None), "commands") or path == "genovault"
    return f"{path} --help lists the commands" if lists else f"{path} --help"


def _lowered(message: str) -> str:
    """The parser's sentence as one of ours: "No such option: --x" becomes "no such option: --x"."""
    plain = message.replace("Value error, ", "")  # what a validator of ours raised, as pydantic repeats it
    return plain[:1].lower() + plain[1:].rstrip(".")
