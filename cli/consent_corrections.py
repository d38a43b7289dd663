"""The command that corrects what was recorded of somebody's consent, and what such an act changes, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.consent_work import At, ClockChecked, Evidence, SignedBy, SignerName, pairs
from cli.context import context_of
from cli.inputs import stated_time
from cli.output import counted
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.consent.corrections import Corrected
    from vault.consent.withdrawal_effect import Withdrawn


def correct(
    ctx: typer.Context,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event, as consent show prints it.", show_default=False)],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why it is wrong; kept sealed with the person.", show_default=False)
    ],
    at: At = None,
    answer: Annotated[
        list[str] | None, typer.Option(metavar="QUESTION=ANSWER", help="The right answer; may be repeated. The others stay.")
    ] = None,
    signer: Annotated[SignerName | None, typer.Option(help="Who signed.")] = None,
    signed_by: SignedBy = "",
    checked: Annotated[
        bool, typer.Option("--checked", help="It has passed the quality check that it was recorded before.")
    ] = False,
    evidence: Evidence = "",
    clock_checked: ClockChecked = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Take your own proposal back, while it waits for another steward.")
    ] = False,
) -> None:
    """Correct what was recorded wrongly; it stays in the history.

    Without --at, --answer, --signer, --signed-by and --checked it was never so: it was another person's, or nobody's. With them it was so, but
    otherwise, and counts in its own place: a withdrawal of 2019 that was typed in behind an acceptance of 2024 stands before it with
    --at 2019-05-02. What takes a no out of force needs evidence. Where more is allowed after it than before, another steward gives the
    same command with the same evidence, and a reason of their own: consent queue prints it. Any other command is another proposal.

    JSON: {"state": "corrected"|"proposed"|"taken_back", "corrects", "kind": "void"|"restated", "who", "allowed": [policies], "takes_two": bool, "event",
    "ended": [policies], "excluded": [scopes], "projects": [...] or null, "releases": [...] or null, "differs":
    {steward who proposed otherwise: [in what]}}; of a proposal event is null.
    """
    context = context_of(ctx)
    from policies.consent import SignerRole
    from vault.consent import corrections, proposals
    from vault.consent.corrected_events import Amendment

    moment = stated_time(at, option="--at")
    amendment = Amendment(moment, pairs(answer or []), None if signer is None else SignerRole(signer), signed_by, checked)
    if take_back and (amendment != Amendment() or evidence or clock_checked):
        raise UsageError("take_back_alone", "--take-back goes with --reason alone")
    with context.open() as vault:
        if take_back:
            mine = proposals.take_back(vault, event, reason=reason)
            done = corrections.Corrected(corrections.TAKEN_BACK, mine.who, mine.kind, (), takes_two=True)
        else:
            done = corrections.correct(
                vault, event, reason=reason, amendment=amendment, evidence=evidence, clock_checked=clock_checked
            )
    effect = done.effect
    context.output.document(
        {
            "state": done.state,
            "corrects": event,
            "kind": done.kind,
            "who": done.who,
            "allowed": list(done.allowed),
            "takes_two": done.takes_two,
            "event": effect.event_id if effect else None,
            "ended": list(effect.ended) if effect else [],
            "excluded": list(effect.excluded) if effect else [],
            "projects": list(effect.projects) if effect and effect.projects is not None else None,
            "releases": list(effect.releases) if effect and effect.releases is not None else None,
            "differs": {steward: list(parts) for steward, parts in done.differs.items()},
        }
    )
    for line in _lines(done):
        context.output.line(line)


def effects(done: Withdrawn) -> Iterator[str]:
    """Effect of a withdrawal or a correction, in lines."""
    yield f"ended: {', '.join(done.ended)}" if done.ended else "ended: nothing that was in force"
    if done.excluded:
        yield f"left out from now on: {', '.join(done.excluded)}"
    if done.projects is None or done.releases is None:
        yield "the projects and releases that hold this person could not be listed: genovault doctor"
        return
    if done.projects:
        yield f"no longer in project {', '.join(done.projects)}"
    for release in done.releases:
        yield f"held by release {release['release']} of project {release['project']}, given to {', '.join(release['recipients'])}"
    if not done.releases:
        yield "in no release"
    if done.notices:
        yield f"recipients are to be told, by {counted(len(done.notices), 'notice')}: genovault release notices"
    if done.clock_behind:
        yield "this machine's clock is behind what was recorded last, so the withdrawal took that time: set the clock"


def _lines(done: Corrected) -> Iterator[str]:
    from policies.consent import CorrectionKind
    from vault.consent.corrections import TAKEN_BACK

    if done.state == TAKEN_BACK:
        yield f"taken back, and nothing is changed: the proposal of {done.who}"
        return
    was = "was never said" if done.kind is CorrectionKind.VOID else "is said rightly now"
    if done.effect is None:
        yield f"proposed, and nothing is changed yet: of {done.who}"
        yield "another steward gives the same command, which consent queue prints, and it is done; --take-back takes it back"
        for steward, parts in done.differs.items():
            yield f"another proposal than {steward}'s, other in {', '.join(parts) or 'content'}: to agree, give that command of consent queue"
    else:
        yield f"corrected as event {done.effect.event_id}: it {was}, of {done.who}"
    if done.allowed:
        yield f"allowed {'then' if done.effect is None else 'again'}: {', '.join(done.allowed)}"
    if done.effect is not None and (done.effect.ended or done.effect.excluded):
        yield from effects(done.effect)
