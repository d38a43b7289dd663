"""Questions to the person at the terminal. Without a terminal nothing is ever asked."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from vault.errors import InputError, UnavailableError, UsageError
from vault.files.given_files import ExposedError, read_secret
from vault.files.plain_text import printable

PASSPHRASE_VARIABLE = "GENOVAULT_PASSPHRASE"  # noqa: S105 — the variable's name, not a passphrase
_MAX_PASSPHRASE_BYTES = 4096


NEW_PASSPHRASE_VARIABLE = "GENOVAULT_NEW_PASSPHRASE"  # noqa: S105 — as above: the passphrase of a slot that is being added
KEY_PASSPHRASE_VARIABLE = "C4GH_PASSPHRASE"  # noqa: S105 - as above: of a recipient's private key, as other clients of Crypt4GH read it


def ask_passphrase(file: Path | None, *, new: bool = False, variable: str = PASSPHRASE_VARIABLE) -> str:
    """Passphrase from the first line of the file, else from the environment's ``variable``, else from the terminal, twice if ``new``.

    Raises:
        UnavailableError: ``passphrase_needed``: there is no terminal to ask at.
        InputError: ``passphrase_file_unreadable``, ``passphrase_file_exposed``, ``passphrase_empty``, ``passphrase_mismatch``;
            ``passphrase_weak``: a new one.
    """
    passphrase = _asked(file, new=new, variable=variable)
    if new:
        from vault.session.passphrase_strength import require_strong

        require_strong(passphrase)
    return passphrase


def _asked(file: Path | None, *, new: bool, variable: str) -> str:
    if file is not None:
        return _checked(_first_line(file))
    if variable in os.environ:
        return _checked(os.environ[variable])
    if not has_terminal():
        option = {NEW_PASSPHRASE_VARIABLE: "--new-passphrase-file", PASSPHRASE_VARIABLE: "--passphrase-file"}.get(variable)
        hint = f"give {option} FILE or set {variable}" if option else f"set {variable}"
        raise UnavailableError("passphrase_needed", "a passphrase is needed and there is no terminal to ask at", hint=hint)
    passphrase = _checked(getpass.getpass("New passphrase: " if new else "Passphrase: "))
    if new and getpass.getpass("Once more: ") != passphrase:
        raise InputError("passphrase_mismatch", "the two passphrases differ")
    return passphrase


def confirm(question: str, *, yes: bool) -> bool:
    """Ask for a confirmation at the terminal; True if it is given. ``yes`` (the command's --yes) answers beforehand.

    Raises:
        UsageError: ``confirmation_needed``: there is no terminal to ask at and --yes was not given.
    """
    if yes:
        return True
    if not has_terminal():
        raise UsageError("confirmation_needed", "this wants a confirmation and there is no terminal to ask at", hint="give --yes")
    return ask(f"{question} [y/N] ").lower() in {"y", "yes"}


def ask(question: str, *, about: str = "") -> str:
    """The line that is typed after a question, without space at its ends; ``about`` stands on a line before it."""
    sys.stderr.write((f"\n{printable(about)}\n" if about else "") + printable(question))
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def has_terminal() -> bool:
    """True if stdin and stderr are terminals: the answer and the question go through them."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _first_line(file: Path) -> str:
    try:
        data = read_secret(file, limit=_MAX_PASSPHRASE_BYTES, pipes=True)
    except ExposedError as error:
        message = f"the passphrase file {file.name} {error.strerror}"
        raise InputError("passphrase_file_exposed", message, hint=f"chmod 600 {file.name}") from None
    except OSError as error:
        message = f"the passphrase file {file.name} cannot be read: {error.strerror or 'input/output error'}"
        raise InputError("passphrase_file_unreadable", message) from None
    line = data.partition(b"\n")[0]
    if len(line) > _MAX_PASSPHRASE_BYTES:
        raise InputError(
            "passphrase_file_unreadable", f"the first line of {file.name} is longer than {_MAX_PASSPHRASE_BYTES} bytes"
        )
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("passphrase_file_unreadable", f"the passphrase file {file.name} is not UTF-8 text") from None


def _checked(passphrase: str) -> str:
    if not passphrase:
        raise InputError("passphrase_empty", "the passphrase is empty")
    return passphrase
