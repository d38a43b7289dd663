"""Registrations of one person: what was registered twice becomes one, and which were merged into which.

A registration that was merged into another keeps its row, its audit salt and its tokens, so that what was disclosed before is still told;
everything else of it follows or goes. The sealed identity that stays names the other's handle, and nothing else leads from one to the other.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update

from vault.crypto.key_wrapping import KeyPurpose
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import IdentityRow, ReferenceRow, SubjectRow
from vault.storage.database import Transaction
from vault.subjects import people_digests
from vault.subjects.identities import Identity, open_identities, open_identity, seal_identity
from vault.subjects.references import ReferenceIndex

MERGED = "merged"  # state of a subject
TOLD_APART = ("name", "birth_date", "sex")  # fields that two people differ in
KEPT_ONCE = (*TOLD_APART, "country", "pedigree")


def all_of(vault: UnlockedVault, subject: SubjectId) -> list[SubjectId]:
    """The subject, and the registrations that were merged into it. Raises as ``open_identities``."""
    gone = of_nobody_else(vault)
    if not gone:
        return [subject]
    named = open_identities(vault, [subject])[subject].also
    handles = ReferenceIndex(vault).handles(gone)
    return [subject, *(one for one, handle in zip(gone, handles, strict=True) if f"id:{handle}" in named)]


def of_nobody_else(vault: UnlockedVault) -> list[SubjectId]:
    """Every registration that was merged into another."""
    with vault.books.read() as tx:
        return [SubjectId(one) for one in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == MERGED))]


def differing(stays: Identity, goes: Identity) -> tuple[str, ...]:
    """Names of the fields in which two identities say otherwise. Pure."""
    pairs = ((name, getattr(stays, name), getattr(goes, name)) for name in (*KEPT_ONCE, "mrn"))
    return tuple(name for name, mine, other in pairs if mine and other and mine != other)


def united(stays: Identity, goes: Identity, handle: str) -> Identity:
    """One identity of two: the first's fields, what it lacks from the other, every reference of both. ``handle``: the other's. Pure."""
    mrn = stays.mrn or goes.mrn
    former = [f"mrn:{goes.mrn}"] if goes.mrn not in ("", mrn) else []
    return stays._replace(
        **{name: getattr(stays, name) or getattr(goes, name) for name in KEPT_ONCE},
        mrn=mrn,
        samples=tuple(dict.fromkeys([*stays.samples, *goes.samples])),
        diagnoses=tuple(dict.fromkeys([*stays.diagnoses, *goes.diagnoses])),
        also=tuple(dict.fromkeys([*stays.also, *goes.also, *former, f"id:{handle}"])),
        former=tuple(sorted(dict.fromkeys([*stays.former, *goes.former]))),
    )


def unite(tx: Transaction, vault: UnlockedVault, index: ReferenceIndex, stays: SubjectId, goes: SubjectId) -> int:
    """Make one identity of two in the caller's transaction, and let the references follow; their number.

    Raises:
        UnavailableError: ``references_renewed``. IntegrityError: ``identity_altered``.
    """
    index.require_current(tx)
    rows = {subject: (version, sealed) for subject, version, sealed in people_digests.rows_of(tx, [stays, goes])}
    keys = vault.keys.open_keys(KeyPurpose.IDENTITY, [stays, goes])
    mine, other = (open_identity(vault, one, *rows[one], keys[one]) for one in (stays, goes))
    row = tx.get_one(IdentityRow, stays)
    row.version += 1
    row.sealed = seal_identity(vault, stays, united(mine, other, index.handle(goes)), row.version, keys[stays])
    tx.execute(delete(IdentityRow).where(IdentityRow.subject_id == goes))
    moved = tx.execute(update(ReferenceRow).where(ReferenceRow.subject_id == goes).values(subject_id=stays))
    tx.execute(update(SubjectRow).where(SubjectRow.subject_id == goes).values(state=MERGED))
    people_digests.renew(tx, [stays, goes])
    return int(moved.rowcount)  # type: ignore[attr-defined]
