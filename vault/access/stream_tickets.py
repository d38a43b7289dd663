"""Tickets of streams: what somebody may fetch for some minutes, by a secret of which a MAC is kept (docs/design/server.md §7).

    gvs_TICKET_SECRET_CHECK        as an access token (``vault.access.access_tokens``), which it is no substitute for

A ticket is for the bearer of one token, one view and one *epoch*: a digest of everything that settles the bytes of a stream but the places that
are asked for. It opens nothing by itself: whoever shows it is decided on anew, and what has changed since ends it.
"""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from policies.purposes import ApprovalMode, ProjectDeclaration, PseudonymScope
from policies.token_scopes import TokenScope
from vault.access import access_tokens, token_texts
from vault.access.access_tokens import Authenticated
from vault.crypto.context import encode_context
from vault.crypto.primitives import hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, RefusedError
from vault.extracts.stream_format import StreamFormat
from vault.session.moments import moment
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.service_tables import StreamTicketRow
from vault.storage.timestamps import from_micros, to_micros

LASTING = timedelta(minutes=10)
MOST = 1_000  # of one token at a time
KEPT = timedelta(hours=1)  # after its end: whoever comes too late leaves an entry
SEALED = SealedRecord("stream_ticket")
_KIND = "gvs"


@dataclass(frozen=True)
class StreamAsked:
    """View that is streamed: a panel, or regions as people type them, or (neither) the whole dataset. Regions of a panel narrow it."""

    project: str
    dataset: str
    panel: str | None = None
    regions: tuple[str, ...] = ()
    kind: StreamFormat = StreamFormat.VCF
    header_only: bool = False


@dataclass(frozen=True)
class StreamTicket:
    """A ticket as it was given: by its name, to the bearer of the token ``accessor``."""

    name: str
    accessor: str
    expires: datetime
    asked: StreamAsked
    epoch: str


def require_streamed(declaration: ProjectDeclaration) -> None:
    """Refuse a project whose releases are not handed out as they are asked for, in the clear, under lasting names.

    Raises:
        RefusedError: ``stream_sealed``: extracts are sealed to recipients; ``stream_unapproved``: a steward approves each release;
            ``stream_unnamed``: names are new in each release, and header and records are fetched apart.
    """
    hint = "genovault request submit"
    if declaration.sealed:
        raise RefusedError("stream_sealed", "the project's releases are sealed to its recipients, and a stream is not", hint=hint)
    if declaration.approval is ApprovalMode.EACH:
        raise RefusedError("stream_unapproved", "each release of the project is approved by a steward", hint=hint)
    if declaration.pseudonyms is PseudonymScope.RELEASE:
        raise RefusedError("stream_unnamed", "the project names people anew in each release", hint=hint)


def give(vault: UnlockedVault, tx: Transaction, accessor: str, asked: StreamAsked, epoch: str) -> tuple[Secret, StreamTicket]:
    """Make a ticket in the transaction that has decided, and forget those that are long over; its text is kept nowhere.

    ``epoch``: digest of what the decision rests on.

    Raises:
        RefusedError: ``tickets_full``: the token has ``MOST`` that are not over.
    """
    name, secret = token_texts.new_accessor(vault.random), vault.random(32)
    now = moment(vault, tx).at
    tx.execute(delete(StreamTicketRow).where(StreamTicketRow.expires < to_micros(now - KEPT)))
    out = select(func.count()).where(StreamTicketRow.accessor == accessor, StreamTicketRow.expires > to_micros(now))
    if (tx.scalar(out) or 0) >= MOST:
        raise RefusedError(
            "tickets_full", "this token has as many tickets as one may have", hint="use them, or wait some minutes"
        )
    row = StreamTicketRow(
        ticket=name, accessor=accessor, mac=_mac(vault, name, secret), expires=to_micros(now + LASTING), sealed=b""
    )
    row.sealed = SEALED.seal(vault.records, name, {"asked": asdict(asked), "epoch": epoch}, standing=_standing(row))
    tx.add(row)
    tx.flush()
    return Secret(token_texts.spelled(name, secret, _KIND).encode()), _opened(vault, row)


def is_ticket(text: str) -> bool:
    """True for what has the form of a ticket's text; nothing is looked up."""
    return token_texts.parse(text, _KIND) is not None


def find(vault: UnlockedVault, text: str) -> StreamTicket:
    """The ticket of a text, whether it still holds or not.

    Raises:
        RefusedError: ``ticket_refused``: malformed, wrong, or not known (any more). IntegrityError: ``stream_ticket_altered``, ``seal_broken``.
    """
    read = token_texts.parse(text, _KIND)
    if read is None:
        raise _refused()
    name, secret = read
    with vault.books.read() as tx:
        row = tx.get(StreamTicketRow, name)
        held = row.mac if row is not None else bytes(32)
        if not hmac.compare_digest(_mac(vault, name, secret), held) or row is None:
            raise _refused()
        return _opened(vault, row)


def holder(vault: UnlockedVault, tx: Transaction, ticket: StreamTicket) -> Authenticated:
    """Bearer to whom a ticket was given, where their token still holds, for streams of the ticket's project.

    Raises:
        RefusedError: ``token_refused``.
    """
    who = access_tokens.holder(vault, tx, ticket.accessor)
    if TokenScope.STREAM not in who.scopes or who.project != ticket.asked.project:
        raise access_tokens.refused()
    return who


def require(vault: UnlockedVault, tx: Transaction, ticket: StreamTicket, epoch: str, *, at: datetime) -> None:
    """Hold a ticket against the time ``at``, its token, and the epoch that was decided in the caller's transaction.

    Raises:
        RefusedError: ``ticket_expired``, ``token_refused``; ``ticket_outdated``: people, project, data or rules are not what they were.
    """
    if at >= ticket.expires:
        raise RefusedError("ticket_expired", "this ticket is over", hint="ask for a new one")
    holder(vault, tx, ticket)
    if ticket.epoch != epoch:
        raise RefusedError("ticket_outdated", "what this ticket was given for has changed", hint="ask for a new one")


def faults(vault: UnlockedVault) -> list[str]:
    """Tickets that are not as they were given, a line each."""
    return row_faults(
        vault,
        StreamTicketRow,
        lambda _, row: _opened(vault, row),
        lambda row, _: f"stream ticket {row.ticket} is not as it was given",
    )


def _opened(vault: UnlockedVault, row: StreamTicketRow) -> StreamTicket:
    """A ticket as its row has it. Raises IntegrityError ``stream_ticket_altered``, ``seal_broken``."""
    said = SEALED.open(vault.records, row.ticket, row.sealed, standing=_standing(row))
    asked = said["asked"]
    try:
        read = StreamAsked(**{**asked, "regions": tuple(asked["regions"]), "kind": StreamFormat(asked["kind"])})
    except (TypeError, ValueError):
        raise IntegrityError("stream_ticket_altered", "a stream ticket is not as it was recorded") from None
    return StreamTicket(row.ticket, row.accessor, from_micros(row.expires), read, said["epoch"])


def _standing(row: StreamTicketRow) -> list[str | int]:
    return [row.accessor, row.mac.hex(), row.expires]


def _mac(vault: UnlockedVault, name: str, secret: bytes) -> bytes:
    return hmac_sha256(secret, encode_context("genovault/stream-ticket/v1", vault.vault_id, name))


def _refused() -> RefusedError:
    return RefusedError("ticket_refused", "this ticket is not accepted", hint="ask for a new one")
