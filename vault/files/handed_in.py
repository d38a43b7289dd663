"""Text of the files that people hand in: UTF-8, with or without a byte order mark. Whatever reads such a file reads it here."""

from __future__ import annotations

import codecs

from vault.errors import InputError

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_of(raw: bytes, *, name: str, code: str = "file_not_text") -> str:
    """The text of a file called ``name`` in errors, without the mark that some programs put in front.

    Raises:
        InputError: ``code``: it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "is UTF-16 text" if raw.startswith(_WIDE) else "is not UTF-8 text"
        raise InputError(code, f"{name} {what}", hint="save it as UTF-8, with or without a byte order mark") from None
