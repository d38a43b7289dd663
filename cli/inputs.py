"""Files, instants and keys named by options and arguments. A refusal names the option and never its content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from policies.canonical import parse_instant
from policies.errors import PolicyInputError
from vault.errors import InputError, IntegrityError, UnavailableError


def read_file(path: Path, *, limit: int) -> bytes:
    """The whole file. Raises InputError: ``file_unreadable``, ``file_too_large`` (over ``limit`` bytes)."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise InputError("file_unreadable", f"{path}: {error.strerror or 'cannot be read'}") from None
    if len(data) > limit:
        raise InputError("file_too_large", f"{path} is larger than {limit} bytes")
    return data


def read_text(path: Path, *, limit: int) -> str:
    """The whole file as UTF-8 text, without a byte order mark. Raises InputError: as ``read_file``, and ``file_not_text``."""
    from vault.files.handed_in import text_of

    return text_of(read_file(path, limit=limit), name=str(path))


def instant(text: str | None, *, option: str) -> datetime | None:
    """A day (its first moment, UTC) or an ISO 8601 date and time with a zone. Raises InputError ``bad_time``."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return parse_instant(text)
    except (ValueError, PolicyInputError):
        hint = "for example 2026-01-31 or 2026-01-31T09:00:00Z"
        raise InputError("bad_time", f"{option} is not a day, nor a date and time with a zone", hint=hint) from None


def write_report(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Write a CSV report to a new file. Raises InputError ``output_exists``, UnavailableError ``output_unwritable``."""
    from vault.files.csv_sheets import write_sheet

    try:
        with path.open("x", newline="", encoding="utf-8") as stream:
            write_sheet(stream, columns=columns, rows=rows)
    except FileExistsError:
        raise InputError("output_exists", f"{path} is already there", hint="name a file that does not exist yet") from None
    except OSError as error:
        raise UnavailableError("output_unwritable", f"{path}: {error.strerror or 'cannot be written'}") from None


def vkey(text: str | None) -> str | None:
    """A vkey line, or the first line of the file that holds one. Raises InputError ``bad_key``, and as ``read_text``."""
    if text is None:
        return None
    from vault.audit.note import VerifierKey
    from vault.limits import MAX_NOTE_BYTES

    line = text if "+" in text else read_text(Path(text), limit=MAX_NOTE_BYTES)
    try:
        return VerifierKey.from_text(line.strip()).to_text()
    except IntegrityError:
        raise InputError("bad_key", "--key is not a log's public key", hint="genovault audit key prints one") from None
