"""LIMITS.txt of a release: what the release does not protect against, in the same words for every release."""

from __future__ import annotations

import textwrap

from policies.disclosure.limits import NOT_PROTECTED

_HEAD = """\
What this release does not protect against
==========================================

These are genotypes of real people. Names are replaced, places that somebody excluded are missing,
and none of it makes the data anonymous.

"""


def limits_text() -> str:
    """The text. It holds nothing of the release, so that it stays in the clear where files are sealed."""
    lines = [textwrap.fill(one, 96, initial_indent="* ", subsequent_indent="  ") for one in NOT_PROTECTED]
    return _HEAD + "\n".join(lines) + "\n"
