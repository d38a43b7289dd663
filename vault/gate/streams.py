"""Streams: a ticket first, which opens nothing, and then a header and the records behind it, as the bytes of BGZF members.

Each block is decided on anew, and bound to what its ticket was given for. What fits one window, what a limit of bits is kept of, and every panel
is committed before the first byte leaves. Of all else bytes leave window by window behind the intent, which counts as disclosure, while the ledger
and the project are looked at before each run; the last member follows the outcome alone, so that only a stream that was committed is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from policies.disclosure.view_rules import ViewRules
from vault.access import access_tokens, asked_regions, projects, release_names, releases, stream_tickets
from vault.access.releases import STREAM
from vault.access.scope import AccessScope
from vault.access.stream_tickets import StreamAsked, StreamTicket
from vault.access.token_bindings import NOWHERE, ShownFrom
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.consent import ledger, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.crypto.secret import Secret
from vault.errors import RefusedError
from vault.extracts.manifest import LABEL
from vault.gate import accesses, blocks, decision, frozen_decisions
from vault.gate.accesses import Access
from vault.gate.frozen_decisions import AskedScope, FrozenDecision
from vault.genotypes.catalog import parts
from vault.session.moments import Moment, moment
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

if TYPE_CHECKING:
    from vault.extracts.streams import StreamTitle
    from vault.views.deidentify import Deidentified
    from vault.views.pages import Paged


class BlockStream:
    """Bytes of a block, run after run. ``close`` ends it, whether it came to its end or not: until then its access is under way. Safe among threads."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest
        self._making = Lock()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next run. Raises RefusedError where somebody left meanwhile; IntegrityError, UnavailableError: as ``view``."""
        with self._making:
            first, self._first = self._first, None
            return next(self._rest) if first is None else first

    def close(self) -> None:
        """End it, once a run that is being made is made."""
        with self._making:
            self._rest.close()  # type: ignore[attr-defined] # a generator


def stream_ticket(vault: UnlockedVault, asked: StreamAsked, *, accessor: str) -> tuple[Secret, StreamTicket]:
    """Give a ticket for a stream, to the bearer of the token ``accessor`` for whom the vault acts; its text is kept nowhere.

    Raises:
        RefusedError: nothing would be released, or not as a stream. InputError: a region is none. IntegrityError, UnavailableError: as ``view``.
    """
    with vault.trail.attempting(Action.STREAM_TICKET):
        asked_regions.require_form(asked.regions)

    def given() -> tuple[Secret, StreamTicket]:
        with vault.trail.attempting(Action.STREAM_TICKET):
            question = _question(vault, asked)
            with vault.books.write() as tx:
                when = moment(vault, tx)
                frozen = question.decide(vault, tx, when)
                made = stream_tickets.give(vault, tx, accessor, asked, _epoch(vault, question.scope, frozen))
                _tell(vault, tx, Action.STREAM_TICKET, question.scope, frozen.now(), given=made[1], when=when)
            return made

    return told(vault, given)


def stream_header(vault: UnlockedVault, text: str, shown_from: ShownFrom = NOWHERE) -> bytes:
    """The header of a ticket's stream, whole members: the same for every ticket of one epoch. ``vault``: the service's own; ``shown_from``: where the
    ticket is shown, which what its token is bound to has to admit.

    Raises:
        RefusedError: the ticket does not hold, or what it was given for has changed. IntegrityError, UnavailableError: as ``view``.
    """

    def made() -> bytes:
        from vault.extracts import streams  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

        given = stream_tickets.find(vault, text)
        own = _acting(vault, given, shown_from)
        with own.trail.attempting(Action.STREAM_HEADER):
            question = _question(own, given.asked)
            scope = question.scope
            with own.books.write() as tx:
                when = moment(own, tx)
                frozen = question.decide(own, tx, when)
                stream_tickets.require(own, tx, given, _epoch(own, scope, frozen), at=when.at)
                _tell(own, tx, Action.STREAM_HEADER, scope, frozen.now(), given=given, when=when)
            return streams.header(_title(own, scope, frozen), given.asked.kind, _line(given, scope, frozen.limits.rules))

    return told(vault, made)


def stream_body(vault: UnlockedVault, text: str, shown_from: ShownFrom = NOWHERE) -> BlockStream:
    """The records of a ticket's stream, begun: what refuses it has refused it. ``vault``: the service's own. Raises as ``stream_header``."""

    def begun() -> BlockStream:
        given = stream_tickets.find(vault, text)
        runs = _runs(_acting(vault, given, shown_from), given)
        return BlockStream(next(runs), runs)

    return told(vault, begun)


def _acting(vault: UnlockedVault, given: StreamTicket, shown_from: ShownFrom) -> UnlockedVault:
    """The vault for whom a ticket was given to. A token that does not hold any more leaves an entry of the service's."""
    try:
        with vault.books.read() as tx:
            who = stream_tickets.holder(vault, tx, given)
    except RefusedError as error:
        vault.trail.record(Action.VIEW_INTENT, Outcome.REFUSED, reasons={error.code: 1}, flags=(STREAM,))
        raise
    access_tokens.require_place(vault, who, shown_from)
    return vault.acting(who.person)


def _question(vault: UnlockedVault, asked: StreamAsked) -> AskedScope:
    """Question of a stream; a panel's is the panel, whichever places it is narrowed to.

    Raises:
        InputError, RefusedError: as ``scope_of_view`` and ``stream_tickets.require_streamed``.
    """
    regions = () if asked.panel else asked.regions
    question = frozen_decisions.view(vault, asked.project, asked.dataset, panel=asked.panel, regions=regions)
    scope = question.scope
    if asked.panel and asked.regions:
        held = parts.contigs(vault, scope.dataset.dataset_id)
        asked_regions.require_present(asked_regions.read_regions(asked.regions), scope.dataset, held)
    stream_tickets.require_streamed(scope.project.declaration)
    return question


def _epoch(vault: UnlockedVault, scope: AccessScope, frozen: FrozenDecision) -> str:
    """Digest in hex of what settles the bytes of a stream, but the places that are asked for, its format and its time."""
    whole = replace(scope, regions=())
    basis = frozen.once("basis of streams", lambda: release_decisions.basis(vault, whole, frozen.decided, frozen.limits))
    names = release_names.newest_version(vault, scope.project)
    return sha256(encode_context("genovault/stream-epoch/v1", basis, names)).hex()


def _tell(
    vault: UnlockedVault,
    tx: Transaction,
    act: Action,
    scope: AccessScope,
    decided: Decided,
    *,
    given: StreamTicket,
    when: Moment,
) -> None:
    asked = {**scope.detail(), "ticket": given.name, "format": given.asked.kind.value, "header_only": given.asked.header_only}
    fields: dict[str, Any] = decision.decision_fields(
        decided.tally, decided.head, {**asked, "narrowed": list(given.asked.regions)}
    )
    purpose = ",".join(scope.project.declaration.purpose.use_kinds)
    subjects = list(decided.permitted) if act is Action.STREAM_HEADER else []  # a ticket names nobody
    vault.trail.append(
        tx, act, Outcome.DONE, subjects=subjects, project=scope.project.code, purpose=purpose, flags=when.flags, **fields
    )


def _title(vault: UnlockedVault, scope: AccessScope, frozen: FrozenDecision) -> StreamTitle:
    """Title of the stream."""
    from vault.extracts.streams import StreamTitle  # noqa: PLC0415 - as in ``stream_header``

    columns = release_names.stream_columns(vault, scope.project, scope.dataset.dataset_id, frozen.decided.permitted)
    contigs = frozen_decisions.contigs(vault, scope, frozen)
    return StreamTitle.of(columns.names, assembly=scope.dataset.assembly, contigs=contigs)


def _line(given: StreamTicket, scope: AccessScope, rules: ViewRules) -> dict[str, str]:
    """Fields of the header's line about the view."""
    kind = "panel" if scope.panel else "region"
    return {"ID": f"stream-{given.epoch[:16]}", "Kind": kind, "Label": LABEL, "Profile": rules.profile}


def _runs(vault: UnlockedVault, given: StreamTicket) -> Iterator[bytes]:
    """Steps 1 to 7 of a stream. Its first run is made when the first is asked for."""
    from vault.extracts import streams  # noqa: PLC0415 - as in ``stream_header``
    from vault.views.narrowed import Narrowed  # noqa: PLC0415 - as in ``stream_header``

    with vault.trail.attempting(Action.VIEW_INTENT):
        if given.asked.header_only:
            raise RefusedError("ticket_refused", "this ticket is for a header alone")
        question = _question(vault, given.asked)
        scope, release_id = question.scope, releases.new_id(vault)

    def bound(tx: Transaction, frozen: FrozenDecision, when: Moment) -> None:
        stream_tickets.require(vault, tx, given, _epoch(vault, scope, frozen), at=when.at)

    with process_lock(vault.folder, release_id):
        with vault.trail.attempting(Action.VIEW_INTENT):
            access = accesses.begin(
                vault, question, release_id, Action.VIEW_INTENT, Action.VIEW_OUTCOME, bound=bound, flags=(STREAM,)
            )
        try:
            view = _view(vault, access)
            contigs = frozen_decisions.contigs(vault, scope, access.frozen)
            title = streams.StreamTitle.of(view.pseudonyms, assembly=view.assembly, contigs=contigs)
            whole = _committed(vault, access, view)
        except BaseException as error:
            accesses.log_failure(vault, access, error)
            raise
        if whole is None:
            yield from _handed_out(vault, access, view, given, title)
            return
        places = asked_regions.read_regions(given.asked.regions).intervals if scope.panel and given.asked.regions else ()
        watch = _StreamWatch(vault, access, given)
        for run in streams.body(Narrowed.of(whole, places), title, given.asked.kind):
            yield run
            watch.require()
        yield streams.END


def _committed(vault: UnlockedVault, access: Access, view: Deidentified) -> Paged | None:
    """The view to be shown, once it is committed: from memory, or opened again where all of it was counted first; None where it is handed out by
    windows.
    """
    from vault.views.pages import HeldPages  # noqa: PLC0415 - as in ``stream_header``

    scope = access.scope
    limited = (scope.project.declaration.disclosure.max_bits, access.decided.obligations.max_bits) != (None, None)
    if not (view.is_read or limited or scope.panel):
        return None
    held = HeldPages(view, tuple(view.pages())) if view.is_read else None
    accesses.commit(vault, access, access.content, n_sites=view.summary.n_sites, bits=view.counted())
    return held or _view(vault, access)


def _view(vault: UnlockedVault, access: Access) -> Deidentified:
    scope = access.scope
    columns = release_names.stream_columns(vault, scope.project, scope.dataset.dataset_id, access.decided.permitted)
    return blocks.open_view(vault, access, columns=columns)


def _handed_out(
    vault: UnlockedVault, access: Access, view: Deidentified, given: StreamTicket, title: StreamTitle
) -> Iterator[bytes]:
    """The runs of a view that leave before its outcome, which the last member follows. However it ends, what has left is logged as done."""
    from vault.extracts import streams  # noqa: PLC0415 - as in ``stream_header``

    try:
        access = accesses.hand_out(vault, access)
    except BaseException as error:
        accesses.log_failure(vault, access, error)
        raise
    try:
        watch = _StreamWatch(vault, access, given)
        for run in streams.body(view, title, given.asked.kind):
            yield run
            watch.require()
        accesses.commit(vault, access, access.content, n_sites=view.summary.n_sites, bits=view.counted())
    except BaseException as error:
        accesses.cut(vault, access, error, n_sites=view.bits.n_sites, bits=view.bits)
        raise
    yield streams.END


class _StreamWatch:
    """Looks, between the runs of a stream, whether its people and its holder may still have it."""

    def __init__(self, vault: UnlockedVault, access: Access, given: StreamTicket) -> None:
        self._vault, self._access, self._given = vault, access, given
        self._head = access.decided.head

    def require(self) -> None:
        """Raises RefusedError: somebody in the stream, its project or its holder may not any more; UnavailableError: ``slot_outdated``."""
        vault, project = self._vault, self._access.scope.project
        with vault.books.read() as tx:
            vault.require_standing(tx)
            stream_tickets.holder(vault, tx, self._given)
            now = projects.by_id(vault, tx, project.project_id)
            if (now.revision, now.state) != (project.revision, project.state):
                raise projects.changed_since(project, now)
            head = ledger.last(tx, vault.vault_id)
        if head != self._head:
            self._head = accesses.recheck(vault, self._access)
