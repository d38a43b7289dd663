"""Digests of people's identities, 256 for all, so that no older identity passes for the newest and none vanishes unseen.

    digest = SHA-256(context("genovault/people/v1", bucket) ‖ subject id[16] ‖ u64 version ‖ SHA-256(sealed)[32], by ascending id)

A person's bucket is the first byte of the subject id, which is random. The digests are a collection of the books, signed by the
steward who changed an identity; whoever opens identities compares those of their buckets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import SubjectId
from vault.storage.book_tables import IdentityRow, PeopleDigestRow
from vault.storage.bulk_columns import insert_columns
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

BUCKETS = 256
ALL_FROM = 128  # buckets: one query over everybody is faster from here on
_IDENTITIES = select(IdentityRow.subject_id, IdentityRow.version, IdentityRow.sealed).order_by(IdentityRow.subject_id)
_ROWS = Statement(_IDENTITIES)
_BUCKET = Statement(_IDENTITIES.where(IdentityRow.subject_id >= bindparam("first"), IdentityRow.subject_id <= bindparam("last")))

IdentityRows = Sequence[Row[*tuple[Any, ...]]]


def digest(bucket: int, rows: Iterable[Sequence[Any]]) -> bytes:
    """Digest of a bucket's rows (subject id, version, sealed), ids ascending; 32 bytes."""
    listed = [subject + version.to_bytes(8, "big") + sha256(sealed) for subject, version, sealed in rows]
    return sha256(encode_context("genovault/people/v1", bucket) + b"".join(listed))


def renew(tx: Transaction, subjects: Iterable[SubjectId]) -> None:
    """Digest the buckets of subjects whose identities were changed, in the same write transaction."""
    tx.flush()
    buckets = {subject[0] for subject in subjects}
    found = _by_bucket(tx, buckets)
    held = [bucket for bucket in sorted(buckets) if found[bucket]]
    tx.execute(delete(PeopleDigestRow).where(PeopleDigestRow.bucket.in_(buckets)))
    if held:
        insert_columns(tx, PeopleDigestRow, {"bucket": held, "digest": [digest(bucket, found[bucket]) for bucket in held]})


def rows_of(tx: Transaction, subjects: Iterable[SubjectId]) -> IdentityRows:
    """Identity rows of the subjects that have one, as they were last recorded.

    Raises:
        IntegrityError: ``identity_altered``: an identity of one of their buckets was edited, put back, added or taken out.
    """
    wanted = set(subjects)
    buckets = {subject[0] for subject in wanted}
    recorded = {row.bucket: row.digest for row in tx.execute(select(PeopleDigestRow.bucket, PeopleDigestRow.digest))}
    found = _by_bucket(tx, buckets)
    for bucket in sorted(buckets):
        if recorded.get(bucket) != (digest(bucket, found[bucket]) if found[bucket] else None):
            raise IntegrityError(
                "identity_altered",
                "the books were edited: identities are not those that were last recorded",
                hint="genovault doctor says what to restore",
            )
    return [row for rows in found.values() for row in rows if row[0] in wanted]


def altered(tx: Transaction) -> bool:
    """True if any identity is not as it was last recorded."""
    recorded = {row.bucket: row.digest for row in tx.execute(select(PeopleDigestRow.bucket, PeopleDigestRow.digest))}
    found = _by_bucket(tx, set(range(BUCKETS)))
    return recorded != {bucket: digest(bucket, rows) for bucket, rows in found.items() if rows}


def _by_bucket(tx: Transaction, buckets: set[int]) -> dict[int, IdentityRows]:
    if len(buckets) >= ALL_FROM:
        found: dict[int, list[Row[*tuple[Any, ...]]]] = {bucket: [] for bucket in buckets}
        for row in _ROWS.rows(tx):
            if (bucket := row[0][0]) in found:
                found[bucket].append(row)
        return dict(found)
    ends = {bucket: (bytes([bucket]) + bytes(15), bytes([bucket]) + b"\xff" * 15) for bucket in buckets}
    return {bucket: _BUCKET.rows(tx, first=first, last=last) for bucket, (first, last) in ends.items()}
