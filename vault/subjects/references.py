"""References to a subject (MRN, sample id, handle), found through keyed hashes only.

The key of the index belongs to the identity branch, so the books alone do not say that a given MRN is in the vault. The handle
("s-" and 16 hex digits) is shown instead of the subject id.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from sqlalchemy import select

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import HmacSha256
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import DatasetId, SubjectId
from vault.limits import MAX_SHEET_FIELD_CHARS
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ReferenceRow, VaultRow
from vault.storage.bulk_columns import rows_among
from vault.storage.database import Transaction
from vault.subjects.identities import Identity, named_by, open_identities

KINDS = ("mrn", "sample", "id")


class ReferenceIndex:
    """Keyed hashes of references, under the key that the books name unless it is another ``version``."""

    def __init__(self, vault: UnlockedVault, *, version: int | None = None) -> None:
        with vault.books.read() as tx:
            self.version = tx.scalars(select(VaultRow.reference_version)).one() if version is None else version
        self._session = vault

    @cached_property
    def _references(self) -> HmacSha256:
        return HmacSha256(
            self._session.keys.open(KeyPurpose.REFERENCE_INDEX, self._session.vault_id, version=self.version).secret
        )

    @cached_property
    def _handles(self) -> HmacSha256:
        return HmacSha256(self._session.keys.open(KeyPurpose.HANDLE, self._session.vault_id).secret)

    def require_current(self, tx: Transaction) -> None:
        """Refuse to write digests of a key that was renewed since. Raises UnavailableError ``references_renewed``."""
        if tx.scalars(select(VaultRow.reference_version)).one() != self.version:
            raise UnavailableError("references_renewed", "somebody was erased meanwhile", hint="repeat the command")

    def digest(self, kind: str, value: str) -> bytes:
        """Blind index of one reference, 32 bytes."""
        return self.digests(kind, [value])[0]

    def digests(self, kind: str, values: Iterable[str]) -> list[bytes]:
        """Blind index of many values of one kind, in order."""
        return _keyed(self._references, encode_context("genovault/reference/v1", kind), (value.encode() for value in values))

    def handle(self, subject: SubjectId) -> str:
        """Handle shown instead of the subject id."""
        return self.handles([subject])[0]

    def handles(self, subjects: Iterable[SubjectId]) -> list[str]:
        """Handles of many subjects, in order."""
        digests = _keyed(self._handles, encode_context("genovault/handle/v1"), subjects)
        return [f"s-{digest[:8].hex()}" for digest in digests]


def spellings(value: str) -> tuple[str, ...]:
    """A name as it is written, and with its marks composed and decomposed (Unicode NFC and NFD), which look alike."""
    if value.isascii():
        return (value,)
    return tuple(dict.fromkeys((value, unicodedata.normalize("NFC", value), unicodedata.normalize("NFD", value))))


def resolve(vault: UnlockedVault, reference: str) -> SubjectId:
    """Resolve a REF to a subject; ``mrn:``, ``sample:`` or ``id:`` in front settles what kind it is.

    Raises:
        InputError: ``subject_unknown``; ``subject_ambiguous``.
    """
    found = resolve_many(vault, [reference])[reference]
    if not found:
        raise InputError("subject_unknown", "no subject has this reference", hint="genovault subject list shows handles")
    if len(found) > 1:
        raise InputError("subject_ambiguous", "the reference names several subjects", hint="put mrn:, sample: or id: in front")
    return next(iter(found))


def resolve_many(vault: UnlockedVault, references: Sequence[str]) -> dict[str, frozenset[SubjectId]]:
    """Resolve each REF to every subject it could name; an empty set where there is none."""
    return identify(vault, references)[0]


def identify(
    vault: UnlockedVault, references: Sequence[str]
) -> tuple[dict[str, frozenset[SubjectId]], dict[SubjectId, Identity]]:
    """As ``resolve_many``, with the identities of those found, which a look-up opens anyway."""
    index = ReferenceIndex(vault)
    digests = {
        reference: [index.digest(kind, form) for kind, value in _meanings(reference) for form in spellings(value)]
        for reference in references
    }
    with vault.books.read() as tx:
        rows = reference_rows(tx, (digest for several in digests.values() for digest in several))
    owner = {digest: SubjectId(subject) for digest, subject, _ in rows}
    identities = confirm(vault, index, owner)
    return {reference: frozenset(owner[d] for d in ds if d in owner) for reference, ds in digests.items()}, identities


def registered_by(vault: UnlockedVault, samples: Sequence[str]) -> dict[str, tuple[SubjectId, DatasetId | None]]:
    """For the sample names that some subject has: the subject, and the dataset that registered the name (None: a sheet)."""
    index = ReferenceIndex(vault)
    forms = [(form, name) for name in samples for form in spellings(name)]
    names = dict(zip(index.digests("sample", (form for form, _ in forms)), (name for _, name in forms), strict=True))
    with vault.books.read() as tx:
        rows = reference_rows(tx, names)
    confirm(vault, index, {digest: SubjectId(subject) for digest, subject, _ in rows})
    return {
        names[digest]: (SubjectId(subject), None if dataset is None else DatasetId(dataset)) for digest, subject, dataset in rows
    }


def confirm(vault: UnlockedVault, index: ReferenceIndex, owners: Mapping[bytes, SubjectId]) -> dict[SubjectId, Identity]:
    """Hold what the index says against the sealed identities, which it returns: an editor of the books could turn the index.

    Raises:
        IntegrityError: ``reference_altered``: a reference is not one of the subject that the index gives.
    """
    subjects = list(set(owners.values()))
    named: dict[str, list[tuple[str, SubjectId]]] = {kind: [] for kind in KINDS}
    identities = open_identities(vault, subjects)
    for subject, identity in identities.items():
        for kind, value in named_by(identity):
            named[kind].append((value, subject))
    own = {
        (digest, subject)
        for kind, pairs in named.items()
        for digest, (_, subject) in zip(index.digests(kind, [value for value, _ in pairs]), pairs, strict=True)
    }
    own.update(zip(index.digests("id", index.handles(subjects)), subjects, strict=True))
    if not own.issuperset(owners.items()):
        raise IntegrityError(
            "reference_altered",
            "the books were edited: a reference leads to another person",
            hint="restore a backup of the books",
        )
    return identities


def reference_rows(tx: Transaction, digests: Iterable[bytes]) -> list[tuple[bytes, bytes, bytes | None]]:
    """Look up digests: (digest, subject_id, dataset_id) of those that are references."""
    columns = (ReferenceRow.digest, ReferenceRow.subject_id, ReferenceRow.dataset_id)
    return rows_among(tx, columns, ReferenceRow.digest, list(set(digests)))


def _keyed(key: HmacSha256, before: bytes, fields: Iterable[bytes]) -> list[bytes]:
    """HMAC of a context that ends in the field, for each: a cohort has thousands, so all before it is encoded once."""
    return [
        key.digest(before + (SHORT_LENGTH[len(field)] + field if len(field) < len(SHORT_LENGTH) else encode_context(field)))
        for field in fields
    ]


def _meanings(reference: str) -> list[tuple[str, str]]:
    if len(reference) > MAX_SHEET_FIELD_CHARS:  # longer than any sheet could register
        return []
    kind, colon, value = reference.partition(":")
    return [(kind, value)] if colon and kind in KINDS else [(kind, reference) for kind in KINDS]
