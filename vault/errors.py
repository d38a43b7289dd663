"""Every error that genovault raises on purpose, split by whose move is next.

    GenovaultError
    ├── UsageError        the call itself is wrong                    exit 2
    ├── RefusedError      policy says no                              exit 3
    ├── InputError        the caller's data is bad or unknown         exit 4
    ├── IntegrityError    stored or signed data is not what it was    exit 5
    └── UnavailableError  locked, busy, full or missing outside part  exit 6

Anything else that escapes is a bug (exit 70). ``code`` is a constant in lower snake case that tests and programs rely on;
``message`` is one line for the developer and the person; ``hint`` says what to do next. No field ever holds a genotype, an
identity, a subject id, a key or a passphrase: file names, line numbers and counts are what makes an error useful here.
"""

from __future__ import annotations


class GenovaultError(Exception):
    """Root of the tree. Not raised itself."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(GenovaultError):
    """The call is wrong whatever the data: a bad option, two options that exclude each other."""


class RefusedError(GenovaultError):
    """Policy refuses. To a researcher or engine the text never tells "not there" from "not allowed"."""


class InputError(GenovaultError):
    """The caller's data is malformed, unknown or ambiguous. Nothing was changed."""


class IntegrityError(GenovaultError):
    """A seal, digest, signature or binding does not hold. Never treated as data."""


class UnavailableError(GenovaultError):
    """Locked, busy, full, missing or too old: trying again after mending it may succeed."""
