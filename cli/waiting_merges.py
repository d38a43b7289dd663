"""Merges that wait for another steward, as commands show them: with the command that agrees."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault.operations.corrections.merge_proposals import ProposedMerge


def agreeing(merge: ProposedMerge) -> str:
    """The command with which another steward agrees, for a shell."""
    words = ["genovault", "subject", "merge", merge.stays, merge.goes, *(["--accept"] * merge.accept)]
    return shlex.join([*words, "--reason", merge.reason])


def document(merge: ProposedMerge) -> dict[str, object]:
    """A proposed merge for programs."""
    return {
        "stays": merge.stays,
        "goes": merge.goes,
        "proposed_by": merge.proposed_by,
        "proposed": merge.proposed.isoformat(),
        "reason": merge.reason,
        "agree": agreeing(merge),
    }


def lines(merge: ProposedMerge) -> Iterator[str]:
    """A proposed merge for people."""
    about = f"{merge.goes} becomes part of {merge.stays}: {merge.reason}"
    yield f"proposed by {merge.proposed_by}, {merge.proposed:%Y-%m-%d %H:%M:%S}: {about}"
    yield f"  another steward agrees with: {agreeing(merge)}"
