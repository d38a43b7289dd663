"""Versions of a known person's identity: what is corrected is sealed anew, and what names the person follows."""

from __future__ import annotations

from sqlalchemy import delete, select

from vault.audit.actions import Action, Outcome
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import InputError, UnavailableError
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import IdentityRow, ReferenceRow
from vault.storage.database import Transaction
from vault.subjects import people_digests
from vault.subjects.corrected_identity import Correction, FieldChange
from vault.subjects.identities import Identity, named_by, open_identities, open_identity, seal_identity
from vault.subjects.references import ReferenceIndex, reference_rows, resolve, spellings


def replace(
    tx: Transaction, vault: UnlockedVault, index: ReferenceIndex, subject: SubjectId, *, old: Identity, new: Identity
) -> None:
    """Add a version to a known subject's identity. Raises UnavailableError ``changed_meanwhile``, ``references_renewed``."""
    index.require_current(tx)
    people_digests.rows_of(tx, [subject])
    row = tx.get_one(IdentityRow, subject)
    key = vault.keys.open(KeyPurpose.IDENTITY, subject)
    if open_identity(vault, subject, row.version, row.sealed, key) != old:
        raise UnavailableError("changed_meanwhile", "one of these people was corrected meanwhile", hint="repeat the command")
    _refer(tx, index, subject, new)
    row.version += 1
    row.sealed = seal_identity(vault, subject, new, row.version, key)
    people_digests.renew(tx, [subject])


def _refer(tx: Transaction, index: ReferenceIndex, subject: SubjectId, identity: Identity) -> None:
    """Let the index follow what names a person: new references come under the key that the person's are under.

    Raises:
        UnavailableError: ``changed_meanwhile``.
    """
    found = select(ReferenceRow.digest, ReferenceRow.key_version).where(ReferenceRow.subject_id == subject)
    known = dict(tx.execute(found).all())
    version, kept = max(known.values(), default=index.version), set[bytes]()
    for kind, value in [*named_by(identity), ("id", index.handle(subject))]:
        forms = index.forms(kind, [value])
        if mine := forms.keys() & known.keys():
            kept |= mine
        elif reference_rows(tx, forms):  # another process registered somebody of that name
            raise UnavailableError("changed_meanwhile", "somebody else imported one of these people", hint="repeat the command")
        else:
            digest = index.digest(kind, value, version)
            tx.add(ReferenceRow(digest=digest, subject_id=subject, dataset_id=None, key_version=version))
            kept.add(digest)
            known[digest] = version
    tx.execute(delete(ReferenceRow).where(ReferenceRow.digest.in_(known.keys() - kept)))


def retire(vault: UnlockedVault, reference: str, *, reason: str) -> FieldChange:
    """Take one reference off the person whom it names: a sample or a record number that was recorded wrongly. It stays in ``former``.

    Raises:
        InputError: ``subject_unknown``, ``subject_ambiguous``; ``reference_is_handle``: a handle names its person for good.
    """
    with vault.trail.attempting(Action.SUBJECT_UPDATE):
        subject = resolve(vault, reference)
        index, old = ReferenceIndex(vault), open_identities(vault, [subject])[subject]
        kind, colon, rest = reference.partition(":")
        value = rest if colon and kind in ("mrn", "sample", "id") else reference
        change, new = _without(old, kind if value is rest and colon else "", value)
        kept = Correction(vault.clock().date(), vault.principal, reason).line(change)
        with vault.books.write() as tx:
            replace(tx, vault, index, subject, old=old, new=new._replace(former=(*old.former, kept)))
            detail = {"fields": {change.field: 1}, "reason": reason}
            vault.trail.append(tx, Action.SUBJECT_UPDATE, Outcome.DONE, subjects=[subject], detail=detail)
    return change


def _without(old: Identity, kind: str, value: str) -> tuple[FieldChange, Identity]:
    """The change, and the identity without the reference. Raises InputError ``reference_is_handle``."""
    forms = spellings(value)
    samples = tuple(name for name in old.samples if not set(spellings(name)).intersection(forms))
    if kind in ("", "sample") and samples != old.samples:
        return FieldChange("samples", value, ""), old._replace(samples=samples)
    if kind in ("", "mrn") and old.mrn and set(spellings(old.mrn)).intersection(forms):
        return FieldChange("mrn", value, ""), old._replace(mrn="")
    also = tuple(one for one in old.also if one.partition(":")[2] not in forms or kind not in ("", one.partition(":")[0]))
    if also != old.also:
        return FieldChange("also", value, ""), old._replace(also=also)
    raise InputError("reference_is_handle", "a handle names its person for good", hint="give the sample id or the record number")
