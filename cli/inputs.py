"""Files, instants and keys named by options and arguments. A refusal names the option and never its content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from policies.errors import PolicyInputError
from policies.stated_times import Stated, parse
from vault.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from vault.audit.note import VerifierKey
    from vault.files.column_maps import ColumnMap
    from vault.session.unlocked_vault import UnlockedVault


def read_file(path: Path, *, limit: int) -> bytes:
    """The whole regular file. Raises InputError: ``file_unreadable``, ``file_too_large`` (over ``limit`` bytes)."""
    from vault.files.given_files import read_given

    return read_given(path, limit=limit)


def read_text(path: Path, *, limit: int) -> str:
    """The whole file as UTF-8 text, without a byte order mark. Raises InputError: as ``read_file``, and ``file_not_text``."""
    from vault.files.handed_in import text_of

    return text_of(read_file(path, limit=limit), name=str(path))


def stated_time(text: str | None, *, option: str) -> Stated | None:
    """A day, or an ISO 8601 date and time with a zone. Raises InputError ``bad_time``."""
    if text is None:
        return None
    try:
        return parse(text)
    except PolicyInputError:
        hint = "for example 2026-01-31 or 2026-01-31T09:00:00Z"
        raise InputError("bad_time", f"{option} is not a day, nor a date and time with a zone", hint=hint) from None


def first_of_day(vault: UnlockedVault, stated: Stated | None) -> datetime | None:
    """Begin of entries since a day: its first instant in the vault's time zone or in this machine's, whichever is earlier.

    So nothing that somebody here or there calls of that day is left out. Raises as ``time_zone.instant_in``.
    """
    return _edge(vault, stated, min)


def last_start_of_day(vault: UnlockedVault, stated: Stated | None) -> datetime | None:
    """End of entries until a day: as ``first_of_day``, whichever is later."""
    return _edge(vault, stated, max)


def _edge(vault: UnlockedVault, stated: Stated | None, choose: Callable[[datetime, datetime], datetime]) -> datetime | None:
    from vault.session.time_zone import instant_in

    there = instant_in(vault, stated)
    if there is None or stated is None or isinstance(stated, datetime):
        return there
    try:
        here = datetime.combine(stated, time()).astimezone(UTC)
    except (OverflowError, ValueError):  # at the edge of the years that can be written
        return there
    return choose(there, here)


def report_text(columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """A CSV report."""
    from vault.files.csv_sheets import write_sheet

    text = StringIO(newline="")
    write_sheet(text, columns=columns, rows=rows)
    return text.getvalue()


def renames(path: Path | None) -> ColumnMap:
    """What a sheet calls its columns and how it writes what stands in them (``vault.files.column_maps``).

    Raises:
        InputError: ``document_rejected``; as ``read_yaml``.
    """
    from vault.files import column_maps

    if path is None:
        return column_maps.AS_WRITTEN
    from vault.files.yaml_documents import read_yaml

    return column_maps.parse(read_yaml(path), name=path.name)


def kept_checkpoint(path: Path) -> str:
    """A signed checkpoint that somebody kept, as it was signed; nothing in it is verified.

    Raises:
        InputError: ``checkpoint_malformed``: the file holds none; as ``read_text``.
    """
    from vault.audit.note import checkpoint_in
    from vault.limits import MAX_NOTE_BYTES

    note = read_text(path, limit=MAX_NOTE_BYTES).replace("\r\n", "\n")
    try:
        checkpoint_in(note)
    except IntegrityError:
        hint = "a checkpoint is the file of that name in an export (genovault audit export --format tiles)"
        raise InputError("checkpoint_malformed", f"{path} is not a signed checkpoint", hint=hint) from None
    return note


def vkey(text: str | None) -> str | None:
    """Vkey lines of a log's public keys, as ``audit key`` prints them, or of the file that holds them.

    Raises:
        InputError: ``bad_key``, and as ``read_text``.
    """
    if text is None:
        return None
    from vault.audit.verify.checkpoints import parse_vkey

    lines = _key_lines(text)
    if not lines or any(parse_vkey(line) is None for line in lines):
        raise InputError("bad_key", "--key is not a log's public key", hint="genovault audit key prints one")
    return "\n".join(lines)


def _key_lines(text: str) -> list[str]:
    """The lines of vkeys, or of the file that holds them, without blank ones and those that begin with #."""
    from vault.limits import MAX_NOTE_BYTES

    written = text if "+" in text else read_text(Path(text), limit=MAX_NOTE_BYTES)
    return [line.strip() for line in written.splitlines() if line.strip() and not line.startswith("#")]


def pinned_keys(text: str) -> tuple[list[VerifierKey], list[str]]:
    """(log keys, fingerprints of release keys) of vkey lines, or of the file that holds them. A release key is named ``…/release``.

    Blank lines and lines that begin with # do not count.

    Raises:
        InputError: ``bad_key``, and as ``read_text``.
    """
    from vault.audit.note import VerifierKey
    from vault.extracts.verification import key_fingerprint

    try:
        keys = [VerifierKey.from_text(line.partition(" until ")[0]) for line in _key_lines(text)]
    except IntegrityError:
        keys = []
    if not keys:
        raise InputError("bad_key", "--key holds no public keys", hint="genovault release key prints them")
    marks = [key_fingerprint(key.public) for key in keys if key.name.endswith("/release")]
    return [key for key in keys if not key.name.endswith("/release")], marks
