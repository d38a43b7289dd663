"""References: how people name a subject (MRN, sample id, handle), found through keyed hashes only.

The key of the index belongs to the identity branch, so the books alone do not say that a given MRN is in the vault. The handle
("s-" and 16 hex digits) is what people see instead of the subject id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from vault.crypto.context import encode_context
from vault.crypto.custody import KeyPurpose
from vault.crypto.primitives import hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import InputError, UnavailableError
from vault.ids import DatasetId, SubjectId
from vault.session import Session
from vault.storage.books import ReferenceRow, VaultRow

KINDS = ("mrn", "sample", "id")


class ReferenceIndex:
    """Keyed hashes of references."""

    def __init__(self, session: Session) -> None:
        with session.books.read() as tx:
            self.version = tx.scalars(select(VaultRow.reference_version)).one()
        self._session = session
        self._handle_key = session.keybook.open(KeyPurpose.HANDLE, session.vault_id).secret

    @cached_property
    def _key(self) -> Secret:
        return self._session.keybook.open(KeyPurpose.REFERENCE_INDEX, self._session.vault_id, version=self.version).secret

    def require_current(self, tx: Transaction) -> None:
        """Refuse to write digests of a key that was renewed since. Raises UnavailableError ``references_renewed``."""
        if tx.scalars(select(VaultRow.reference_version)).one() != self.version:
            raise UnavailableError("references_renewed", "somebody was erased meanwhile", hint="repeat the command")

    def digest(self, kind: str, value: str) -> bytes:
        """Blind index of one reference, 32 bytes."""
        return hmac_sha256(self._key.reveal(), encode_context("genovault/reference/v1", kind, value))

    def handle(self, subject: SubjectId) -> str:
        """What people see instead of the subject id."""
        return "s-" + hmac_sha256(self._handle_key.reveal(), encode_context("genovault/handle/v1", subject))[:8].hex()


def resolve(session: Session, reference: str) -> SubjectId:
    """The subject that a REF names; ``mrn:``, ``sample:`` or ``id:`` in front settles what kind it is.

    Raises:
        InputError: ``subject_unknown``; ``subject_ambiguous``.
    """
    found = resolve_many(session, [reference])[reference]
    if not found:
        raise InputError("subject_unknown", "no subject has this reference", hint="genovault subject list shows handles")
    if len(found) > 1:
        raise InputError("subject_ambiguous", "the reference names several subjects", hint="put mrn:, sample: or id: in front")
    return next(iter(found))


def resolve_many(session: Session, references: Sequence[str]) -> dict[str, frozenset[SubjectId]]:
    """The subjects that each REF could name; an empty set where none does."""
    index = ReferenceIndex(session)
    digests = {reference: [index.digest(kind, value) for kind, value in _meanings(reference)] for reference in references}
    with session.books.read() as tx:
        owner = {row.digest: SubjectId(row.subject_id) for row in reference_rows(tx, [d for ds in digests.values() for d in ds])}
    return {reference: frozenset(owner[d] for d in ds if d in owner) for reference, ds in digests.items()}


def registered_by(session: Session, samples: Sequence[str]) -> dict[str, tuple[SubjectId, DatasetId | None]]:
    """For the sample names that some subject has: the subject, and the dataset that registered the name (None: a sheet)."""
    index = ReferenceIndex(session)
    names = {index.digest("sample", name): name for name in samples}
    with session.books.read() as tx:
        rows = reference_rows(tx, list(names))
    return {
        names[row.digest]: (SubjectId(row.subject_id), None if row.dataset_id is None else DatasetId(row.dataset_id))
        for row in rows
    }


def reference_rows(tx: Transaction, digests: Sequence[bytes]) -> list[ReferenceRow]:
    """The index rows of some digests."""
    return [row for part in batched(digests) for row in tx.scalars(select(ReferenceRow).where(ReferenceRow.digest.in_(part)))]


def batched(items: Sequence[bytes], size: int = 10_000) -> Iterable[Sequence[bytes]]:
    """Runs of at most ``size``, under the bound-parameter limits of both databases."""
    return (items[i : i + size] for i in range(0, len(items), size))


def _meanings(reference: str) -> list[tuple[str, str]]:
    kind, colon, value = reference.partition(":")
    return [(kind, value)] if colon and kind in KINDS else [(kind, reference) for kind in KINDS]
