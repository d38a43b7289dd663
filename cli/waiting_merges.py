"""Merges that wait for another steward, as commands show them: with the command that agrees."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli import second_stewards

if TYPE_CHECKING:
    from vault.operations.corrections.merge_proposals import ProposedMerge


def agreeing(merge: ProposedMerge) -> str:
    """The command with which another steward agrees, for a shell."""
    words = ["genovault", "subject", "merge", merge.stays, merge.goes, *(["--accept"] * merge.accept)]
    return shlex.join([*words, "--reason", merge.reason])


def document(merge: ProposedMerge) -> dict[str, object]:
    """A proposed merge for programs."""
    return second_stewards.document(merge, {"stays": merge.stays, "goes": merge.goes}, agreeing(merge))


def lines(merge: ProposedMerge) -> Iterator[str]:
    """A proposed merge for people."""
    return second_stewards.lines(merge, f"{merge.goes} becomes part of {merge.stays}", agreeing(merge))
