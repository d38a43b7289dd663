"""Corrections that wait for another steward, as commands show them: with the command that agrees."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.consent import CorrectionKind

if TYPE_CHECKING:
    from vault.consent.proposals import Proposal

WORDS = {CorrectionKind.VOID: "was never said", CorrectionKind.RESTATED: "was said otherwise"}


def agreeing(proposal: Proposal) -> str:
    """The command with which another steward agrees, for a shell."""
    asked, said = proposal.asked, proposal.asked.amendment
    words = ["genovault", "consent", "correct", proposal.event_id]
    if said.at is not None:
        words += ["--at", said.at.isoformat()]
    for question, answer in said.answers.items():
        words += ["--answer", f"{question}={answer}"]
    if said.signer is not None:
        words += ["--signer", said.signer.value]
    if said.signed_by:
        words += ["--signed-by", said.signed_by]
    words += ["--checked"] * said.checked
    words += ["--evidence", asked.evidence] if asked.evidence else []
    words += ["--clock-checked"] * asked.clock_checked
    return shlex.join([*words, "--reason", asked.reason])


def document(proposal: Proposal) -> dict[str, object]:
    """A proposal for programs."""
    return {
        "event": proposal.event_id,
        "who": proposal.who,
        "kind": proposal.kind,
        "proposed_by": proposal.proposed_by,
        "proposed": proposal.proposed.isoformat(),
        "reason": proposal.asked.reason,
        "agree": agreeing(proposal),
    }


def lines(proposal: Proposal) -> Iterator[str]:
    """A proposal for people."""
    about = f"event {proposal.event_id} {WORDS[proposal.kind]}" + (f", of {proposal.who}" if proposal.who else "")
    yield f"proposed by {proposal.proposed_by}, {proposal.proposed:%Y-%m-%d %H:%M:%S}: {about}: {proposal.asked.reason}"
    yield f"  another steward agrees with: {agreeing(proposal)}"
