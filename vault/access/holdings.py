"""Holdings: what a principal's program has received of a panel in a project, as the sets of people in its views.

An access adds a row only where nobody received this very set before, and a guarded read only where it brings somebody whom the holding
has not, so that a program which asks all day long leaves one. Rows are sealed; a row that was taken out is found, because each access is in
the log, and each but the reads in the book of releases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from vault.access import read_terms, releases
from vault.access.read_terms import ReadTerms
from vault.access.scope import AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.log import Appended
from vault.audit.reports.records import Filter, Record, record_of, records
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import AuditToken, ProjectId
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import HoldingRow, PanelRow, ProjectRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

SEALED = SealedRecord("holding")
_KEY = ("project_id", "holder", "panel_id", "names", "subject_set")
_Own = tuple[object, ...]  # values of _KEY
_KNOWN = Statement(select(HoldingRow.names).where(*(getattr(HoldingRow, name) == bindparam(f"b_{name}") for name in _KEY)))


@dataclass(frozen=True)
class Holding:
    """Holding of a panel's version by one principal in a project. ``sets``: version of the key of
    the names and digest of each set of people -> the release that brought it first, or the entry of the read that did.
    """

    holding_id: str
    project_id: ProjectId
    project: str
    holder: str
    panel: str
    panel_version: int
    sets: Mapping[tuple[int, bytes], str]


def is_held(scope: AccessScope) -> bool:
    """True for what a holding stands for: a view of a panel alone. Whatever else leaves is a release of its own."""
    return scope.request_id is None and scope.panel is not None and not scope.regions


def note(tx: Transaction, vault: UnlockedVault, scope: AccessScope, intent: Appended, release_id: str, *, names: int) -> None:
    """Add an access to what whoever acts holds, in the transaction of its outcome. ``names``: version of the key of its pseudonyms."""
    if scope.panel is not None and is_held(scope):
        _add(tx, vault, (scope.project.project_id, vault.principal, scope.panel.panel_id, names, intent.subject_set), release_id)


def note_read(tx: Transaction, vault: UnlockedVault, terms: ReadTerms, read: Appended) -> None:
    """Add a read to what whoever acts holds, with its terms, in the transaction of its entry."""
    read_terms.keep(tx, vault, terms)
    _add(tx, vault, (terms.project_id, vault.principal, terms.panel_id, terms.names, read.subject_set), read.event_id)


def sets_of(tx: Transaction, *, project_id: bytes, holder: str, panel_id: bytes, names: int) -> list[bytes]:
    """Digests of the sets of people that a principal received of a panel's version under a version of the key of the names."""
    own = {"project_id": project_id, "holder": holder, "panel_id": panel_id, "names": names}
    return list(tx.scalars(select(HoldingRow.subject_set).filter_by(**own)))


def _add(tx: Transaction, vault: UnlockedVault, own: tuple[ProjectId, str, bytes, int, bytes], release_id: str) -> None:
    if not _KNOWN.rows(tx, **{f"b_{name}": value for name, value in zip(_KEY, own, strict=True)}):
        row = HoldingRow(**dict(zip(_KEY, own, strict=True)), release_id=release_id)
        row.sealed = SEALED.seal(vault.records, _record_id(row), {}, standing=_standing(row))
        tx.add(row)
        tx.flush()


def id_of(project_id: bytes, holder: str, panel_id: bytes) -> str:
    """Id of the holding of a panel's version by a principal in a project."""
    return f"hld-{sha256(encode_context('genovault/holding/v1', project_id, holder, panel_id))[:8].hex()}"


def list_all(vault: UnlockedVault) -> list[Holding]:
    """All holdings, by project, holder and panel. Raises IntegrityError ``holding_altered``, ``seal_broken``."""
    query = (
        select(HoldingRow, ProjectRow.code, PanelRow.name, PanelRow.version)
        .join(ProjectRow, ProjectRow.project_id == HoldingRow.project_id)
        .join(PanelRow, PanelRow.panel_id == HoldingRow.panel_id)
    )
    found: dict[str, tuple[Holding, dict[tuple[int, bytes], str]]] = {}
    with vault.books.read() as tx:
        for row, code, name, version in tx.execute(query):
            _require_own(vault, row)
            own = id_of(row.project_id, row.holder, row.panel_id)
            if own not in found:
                sets: dict[tuple[int, bytes], str] = {}
                found[own] = Holding(own, ProjectId(row.project_id), code, row.holder, name, version, sets), sets
            found[own][1][row.names, row.subject_set] = row.release_id
    return sorted((one for one, _ in found.values()), key=lambda one: (one.project, one.holder, one.panel, one.panel_version))


def people_in(vault: UnlockedVault, holding: Holding) -> set[AuditToken]:
    """Audit tokens of everybody in a holding. Raises IntegrityError ``audit_set_altered``."""
    return vault.trail.log.everybody_in([digest for _, digest in holding.sets])


def panel_of(tx: Transaction, asked: Mapping[str, object]) -> bytes | None:
    """Id of the panel that a view asked for alone; None where it asked for anything else. ``asked``: as ``AccessScope.detail``."""
    name, _, version = str(asked.get("panel") or "").rpartition(" version ")
    if not name or asked.get("regions"):
        return None
    return tx.scalars(select(PanelRow.panel_id).where(PanelRow.name == name, PanelRow.version == int(version))).one_or_none()


def faults(vault: UnlockedVault) -> list[str]:
    """Holdings that are not as they were sealed, or not what the views of panels left by the log, a line each."""
    viewed = [view for view in releases.list_all(vault) if view.state == releases.RELEASED and is_panel_view(view)]
    viewed.sort(key=lambda view: view.outcome_index or 0)
    entries = vault.trail.log.entries_with([view.intent_event for view in viewed])
    reads = list(records(vault.trail.log, Filter(act=Action.VIEW_READ.value, outcome=Outcome.DONE.value)))
    expected: dict[_Own, str] = {}
    found, held = read_terms.faults(vault, map(read_terms.named_by, reads)), dict[_Own, str]()
    with vault.books.read() as tx:
        for row in tx.scalars(select(HoldingRow)):
            try:
                _require_own(vault, row)
            except IntegrityError:
                found.append(f"what {row.holder} holds of a panel is not as it was sealed")
            held[tuple(getattr(row, name) for name in _KEY)] = row.release_id
        panels = {str(view.content.asked["panel"]): panel_of(tx, view.content.asked) for view in viewed}
        try:
            terms = read_terms.by_ids(tx, vault, map(read_terms.named_by, reads))
        except IntegrityError:
            return found
    for view in viewed:
        entry, panel = entries.get(view.intent_event), panels[str(view.content.asked["panel"])]
        holder = "" if entry is None else record_of(entry).receiver
        expected.setdefault((view.project_id, holder, panel, view.content.names, view.subject_set), view.release_id)
    by_read = {key for key, first in held.items() if not first.startswith("rel-")}
    released = {key: first for key, first in held.items() if key not in by_read}
    differing = len(dict(expected.items() ^ released.items()).keys() - by_read) + _reads_differing(vault, reads, terms, held)
    return [
        *found,
        *([f"{differing} sets of people that programs received are not in holdings as the log tells"] if differing else []),
    ]


def is_panel_view(view: releases.Release) -> bool:
    """True of a view of a panel alone, which a holding stands for; of those of before there were holdings False."""
    asked = view.content.asked
    return view.request_id is None and bool(asked.get("panel")) and not asked.get("regions") and bool(view.content.names)


def _reads_differing(
    vault: UnlockedVault, reads: Sequence[Record], terms: Mapping[str, ReadTerms], held: Mapping[_Own, str]
) -> int:
    """Number of sets of reads that are in no holding as the log tells, and of holdings by reads that the log does not tell of."""
    log, brought = vault.trail.log, dict[_Own, set[str]]()
    people: dict[tuple[object, ...], set[AuditToken]] = {}
    for *own, digest in held:  # by a view or by a read: a read adds a set only where it brings somebody whom neither brought
        with suppress(IntegrityError):
            people.setdefault(tuple(own), set()).update(log.subjects_of(_digest(digest)))
    differing, looked_at = 0, set[_Own]()
    for read in reads:
        of = terms.get(read_terms.named_by(read))
        if of is None or read.subject_set is None:
            continue
        digest = bytes.fromhex(read.subject_set)
        whole = (of.project_id, read.receiver, of.panel_id, of.names, digest)
        brought.setdefault(whole, set()).add(read.event)
        if whole not in looked_at and whole not in held:
            known = people.get(whole[:-1], set())
            differing += not known.issuperset(log.subjects_of(digest, entry=read.index))
        looked_at.add(whole)
    by_read = [(key, first) for key, first in held.items() if not first.startswith("rel-")]
    return differing + sum(first not in brought.get(key, set()) for key, first in by_read)


def _digest(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _require_own(vault: UnlockedVault, row: HoldingRow) -> None:
    if SEALED.open(vault.records, _record_id(row), row.sealed)["standing"] != _standing(row):
        raise altered(SEALED.collection)


def _record_id(row: HoldingRow) -> bytes:
    return sha256(encode_context("genovault/holding-set/v1", *(getattr(row, name) for name in _KEY)))


def _standing(row: HoldingRow) -> list[str | int]:
    return [row.project_id.hex(), row.holder, row.panel_id.hex(), row.names, row.subject_set.hex(), row.release_id]
