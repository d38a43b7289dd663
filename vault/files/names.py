"""Names that people give to datasets and panels: they stand in lists, manifests and headers, so they are one line of plain text."""

from __future__ import annotations

from vault.errors import InputError

MAX_NAME_CHARS = 100


def require_name(name: str, *, what: str) -> str:
    """Return the name if it can stand in any text: printable, no space at its ends, 1 to 100 characters.

    Raises:
        InputError: ``name_malformed``; the text does not repeat the name, which could drive a terminal.
    """
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= MAX_NAME_CHARS:
        raise InputError(
            "name_malformed",
            f"the {what}'s name is not plain text of 1 to {MAX_NAME_CHARS} characters",
            hint="choose another name",
        )
    return name
