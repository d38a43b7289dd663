"""References to a subject (MRN, sample id, handle), found through keyed hashes only.

The keys of the index belong to the identity branch, so the books alone do not say that a given MRN is in the vault. Each is for the references of
some thousands of people (``reference_keys``), so a name is looked for under each. The handle ("s-" and 16 hex digits) is shown instead of the subject id.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import select

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import HmacSha256
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.ids import DatasetId, SubjectId
from vault.limits import MAX_SHEET_FIELD_CHARS
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ReferenceRow, VaultRow
from vault.storage.bulk_columns import rows_among
from vault.storage.database import Transaction
from vault.subjects.identities import Identity, named_by, open_identities

KINDS = ("mrn", "sample", "id")
MANY = 1 << 16  # digests that take longer to look up than the whole index to read


class ReferenceIndex:
    """Keyed hashes of references. ``version``: of the newest of their keys, as the books name it."""

    def __init__(self, vault: UnlockedVault) -> None:
        with vault.books.read() as tx:
            self.version = tx.scalars(select(VaultRow.reference_version)).one()
        self._session = vault

    @cached_property
    def _keys(self) -> dict[int, HmacSha256]:
        found = self._session.keys.open_versions(KeyPurpose.REFERENCE_INDEX, [self._session.vault_id])
        return {version: HmacSha256(Secret(key)) for _, version, key in found}

    @property
    def versions(self) -> list[int]:
        """Versions of the keys that are held, ascending. Raises UnavailableError ``branch_closed``."""
        return list(self._keys)

    @cached_property
    def _whole(self) -> list[int]:
        """Versions of the keys, of which none that the books need is missing."""
        with self._session.books.read() as tx:
            used = {*tx.scalars(select(ReferenceRow.key_version).distinct()), self.version}
        if not used <= self._keys.keys():
            raise _key_missing()
        return self.versions

    @cached_property
    def _handles(self) -> HmacSha256:
        return HmacSha256(self._session.keys.open(KeyPurpose.HANDLE, self._session.vault_id).secret)

    def require_current(self, tx: Transaction) -> None:
        """Refuse to write digests of keys of which one was renewed since. Raises UnavailableError ``references_renewed``."""
        if tx.scalars(select(VaultRow.reference_version)).one() != self.version:
            raise UnavailableError("references_renewed", "somebody was erased meanwhile", hint="repeat the command")

    def digest(self, kind: str, value: str, version: int) -> bytes:
        """Blind index of one reference under one key, 32 bytes."""
        return self.digests(kind, [value], version)[0]

    def digests(self, kind: str, values: Iterable[str], version: int) -> list[bytes]:
        """Blind index of many values of one kind under one key, in order.

        Raises:
            IntegrityError: ``key_missing``. UnavailableError: ``branch_closed``.
        """
        key = self._keys.get(version)
        if key is None:
            raise _key_missing()
        return _keyed(key, encode_context("genovault/reference/v1", kind), (value.encode() for value in values))

    def forms(self, kind: str, values: Sequence[str]) -> dict[bytes, str]:
        """Digests of many values of one kind under every key, with the value of each. Raises as ``digests``."""
        return {
            digest: value
            for version in self._whole
            for digest, value in zip(self.digests(kind, values, version), values, strict=True)
        }

    def of_people(self, people: Mapping[SubjectId, Identity], version: int) -> list[tuple[bytes, SubjectId]]:
        """Every reference of some people under one key, with whose it is. Raises as ``digests``."""
        named: dict[str, list[tuple[str, SubjectId]]] = {kind: [] for kind in KINDS}
        for subject, identity in people.items():
            for kind, value in named_by(identity):
                named[kind].append((value, subject))
        named["id"] += zip(self.handles(people), people, strict=True)
        return [
            (digest, subject)
            for kind, pairs in named.items()
            for digest, (_, subject) in zip(self.digests(kind, [value for value, _ in pairs], version), pairs, strict=True)
        ]

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
    meant: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}  # kind -> form -> references
    for reference in references:
        for kind, value in _meanings(reference):
            for form in spellings(value):
                meant[kind].setdefault(form, []).append(reference)
    digests = {digest: forms[form] for kind, forms in meant.items() for digest, form in index.forms(kind, list(forms)).items()}
    with vault.books.read() as tx:
        rows = reference_rows(tx, digests)
    identities = confirm(vault, index, rows)
    found: dict[str, set[SubjectId]] = {reference: set() for reference in references}
    for row in rows:
        for reference in digests[row.digest]:
            found[reference].add(SubjectId(row.subject))
    return {reference: frozenset(subjects) for reference, subjects in found.items()}, identities


def registered_by(vault: UnlockedVault, samples: Sequence[str]) -> dict[str, tuple[SubjectId, DatasetId | None]]:
    """For the sample names that some subject has: the subject, and the dataset that registered the name (None: a sheet)."""
    index = ReferenceIndex(vault)
    names = {form: name for name in samples for form in spellings(name)}
    digests = index.forms("sample", list(names))
    with vault.books.read() as tx:
        rows = reference_rows(tx, digests)
    confirm(vault, index, rows)
    return {
        names[digests[row.digest]]: (SubjectId(row.subject), None if row.dataset is None else DatasetId(row.dataset))
        for row in rows
    }


def confirm(vault: UnlockedVault, index: ReferenceIndex, rows: Sequence[Reference]) -> dict[SubjectId, Identity]:
    """Hold what the index says against the sealed identities, which it returns: an editor of the books could turn the index.

    Raises:
        IntegrityError: ``reference_altered``: a reference is not one of the subject that the index gives.
    """
    identities = open_identities(vault, {SubjectId(row.subject) for row in rows})
    holders: dict[int, set[SubjectId]] = {}
    for row in rows:
        holders.setdefault(row.key_version, set()).add(SubjectId(row.subject))
    own = {
        (digest, subject, version)
        for version, subjects in holders.items()
        if version in index.versions
        for digest, subject in index.of_people({s: identities[s] for s in subjects if s in identities}, version)
    }
    if not own.issuperset((row.digest, row.subject, row.key_version) for row in rows):
        raise IntegrityError(
            "reference_altered",
            "the books were edited: a reference leads to another person",
            hint="restore a backup of the books",
        )
    return identities


def _key_missing() -> IntegrityError:
    """Refusal to look for a name where it might not be found: books that are older than the keys, or damage."""
    return IntegrityError("key_missing", "a reference-index key is not in the key database", hint="run genovault doctor")


class Reference(NamedTuple):
    """A row of the index: whose it is, the dataset that registered it (None: a sheet), and the version of its key."""

    digest: bytes
    subject: bytes
    dataset: bytes | None
    key_version: int


COLUMNS = (ReferenceRow.digest, ReferenceRow.subject_id, ReferenceRow.dataset_id, ReferenceRow.key_version)


def reference_rows(tx: Transaction, digests: Collection[bytes]) -> list[Reference]:
    """Rows of those of the digests, all different, that are references."""
    if len(digests) > MANY:
        held = set(digests)
        return [Reference(*row) for row in tx.execute(select(*COLUMNS)) if row[0] in held]
    return [Reference(*row) for row in rows_among(tx, COLUMNS, ReferenceRow.digest, list(digests))]


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
