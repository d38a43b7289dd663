"""Terms of guarded reads: what is asked of a panel in a project, with which duties and under which names, kept once for all reads alike.

A read leaves an entry of the log that names its terms, and no release. Terms are sealed, and named by their digest: a row that was edited does
not open, and one that was taken out is missed by every entry that names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from vault.access.scope import AccessScope
from vault.audit.reports.records import Record
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import ProjectId
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.service_tables import ReadTermsRow

SEALED = SealedRecord("read_terms")
KIND = "read"  # of the object of a read's entry
_KNOWN = Statement(select(ReadTermsRow.names).where(ReadTermsRow.terms_id == bindparam("b_terms")))
_AT_ONCE = 500


@dataclass(frozen=True)
class ReadTerms:
    """Terms by their id. ``asked``, ``obligations``: as of ``ReleaseContent``; ``names``: version of the key that made the pseudonyms."""

    terms_id: str
    project_id: ProjectId
    panel_id: bytes
    names: int
    asked: Mapping[str, Any]
    obligations: Mapping[str, Any]


def of(scope: AccessScope, panel_id: bytes, *, names: int, asked: Mapping[str, Any], obligations: Mapping[str, Any]) -> ReadTerms:
    """The terms of what is asked for."""
    said = json.dumps({"asked": asked, "obligations": obligations}, sort_keys=True)
    own = sha256(encode_context("genovault/read-terms/v1", scope.project.project_id, panel_id, names, sha256(said.encode())))
    return ReadTerms(f"rdt-{own[:16].hex()}", scope.project.project_id, panel_id, names, asked, obligations)


def keep(tx: Transaction, vault: UnlockedVault, terms: ReadTerms) -> None:
    """Record terms in the caller's write transaction, unless they are there."""
    if _KNOWN.rows(tx, b_terms=terms.terms_id):
        return
    row = ReadTermsRow(terms_id=terms.terms_id, project_id=terms.project_id, panel_id=terms.panel_id, names=terms.names)
    content = {"asked": dict(terms.asked), "obligations": dict(terms.obligations)}
    row.sealed = SEALED.seal(vault.records, row.terms_id, content, standing=_standing(row))
    tx.add(row)
    tx.flush()


def by_ids(tx: Transaction, vault: UnlockedVault, ids: Iterable[str]) -> dict[str, ReadTerms]:
    """Terms by their ids; those that are not there are left out. Raises IntegrityError ``read_terms_altered``, ``seal_broken``."""
    wanted = sorted({one for one in ids if one.startswith("rdt-")})
    found: dict[str, ReadTerms] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        query = select(ReadTermsRow).where(ReadTermsRow.terms_id.in_(wanted[first : first + _AT_ONCE]))
        found |= {row.terms_id: _opened(vault, row) for row in tx.scalars(query)}
    return found


def named_by(record: Record) -> str:
    """Id of the terms that a read's entry names; empty for other entries."""
    kind, _, ref = (record.object or "").partition(":")
    return ref if kind == KIND else ""


def faults(vault: UnlockedVault, named: Iterable[str]) -> list[str]:
    """Terms that are not as they were sealed, or not there although an entry of the log names them, a line each."""
    found = row_faults(
        vault,
        ReadTermsRow,
        lambda _, row: _opened(vault, row),
        lambda row, _: f"the terms {row.terms_id} of reads are not as they were sealed",
    )
    with vault.books.read() as tx:
        held = set(tx.scalars(select(ReadTermsRow.terms_id)))
    return [
        *found,
        *(f"the terms {one} of reads, which the log names, are not in the books" for one in sorted(set(named) - held)),
    ]


def _opened(vault: UnlockedVault, row: ReadTermsRow) -> ReadTerms:
    content = SEALED.open(vault.records, row.terms_id, row.sealed, standing=_standing(row))
    if not isinstance(content.get("asked"), dict):
        raise altered(SEALED.collection)
    return ReadTerms(row.terms_id, ProjectId(row.project_id), row.panel_id, row.names, content["asked"], content["obligations"])


def _standing(row: ReadTermsRow) -> list[str | int]:
    if not isinstance(row.terms_id, str):
        raise IntegrityError("read_terms_altered", "terms of reads are not as they were recorded", hint="genovault doctor")
    return [row.terms_id, row.project_id.hex(), row.panel_id.hex(), row.names]
