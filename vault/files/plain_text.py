"""Text of others, made harmless for whoever reads it: names in a file can neither drive a terminal nor hide or reorder what stands there."""

from __future__ import annotations

import re
from html import escape

_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")  # letters and marks to Python that show as nothing
_REPLACEMENT = "\ufffd"


def printable(text: str) -> str:
    """The text with U+FFFD for each character that is not shown as itself.

    Those are control characters (C0, C1 and DEL, line breaks and tabs among them), format characters (direction overrides, zero-width
    characters, tags), line and paragraph separators, lone surrogates, unassigned and private ones, and letters that are blank.
    """
    if text.isascii() and text.isprintable():
        return text
    return _BLANK.sub(_REPLACEMENT, "".join(c if c.isprintable() else _REPLACEMENT for c in text))


def html_text(text: str) -> str:
    """The text as ``printable`` shows it, escaped for HTML, attributes included."""
    return escape(printable(text))
