"""Criteria packs in the books: added, approved by stewards for one version of a panel, retired.

Only what stewards approved is asked of anybody's genotypes: the approval is two signatures (one, where there is one steward) on a pack's
text and a panel's version, so an edited row, another text under the same name and another panel are asked nothing. A change is another
version. A version that was retired stays so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from policies.criteria import packs
from policies.criteria.packs import CriteriaPack
from vault.access import askable, pack_loci, second_steward
from vault.access.scope import UNINFORMED_ROLES, AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog import panels
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.reasons import require_reason
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import CriteriaPackRow
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("criteria_pack")
KIND = "criteria"
ADDED, APPROVED, RETIRED = "added", "approved", "retired"

_LABEL = re.compile(r"([a-z][a-z0-9_-]{0,63})(?:@([1-9][0-9]{0,6}))?")
_Row = CriteriaPackRow


@dataclass(frozen=True)
class KeptPack:
    """A pack as the books have it. ``panel_id``: the version of its panel that it was approved for."""

    pack: CriteriaPack
    sha256: str  # of its canonical text
    state: str
    panel_id: bytes | None
    added_by: str
    added: str
    proposed_by: str | None
    approved_by: str | None
    approved: str | None


@dataclass(frozen=True)
class ApprovedPack:
    """A pack after an approval was given. ``settled`` False: another steward has to give it too."""

    kept: KeptPack
    settled: bool
    proposed_by: str | None


def read_label(text: str) -> tuple[str, int | None]:
    """Name and version of NAME or NAME@VERSION. Raises InputError ``criteria_label``: told to everybody."""
    found = _LABEL.fullmatch(text)
    if found is None:
        raise InputError(
            "criteria_label", f"{text!r:.80} is no criteria pack: write NAME@VERSION", hint="genovault criteria list"
        )
    return found[1], None if found[2] is None else int(found[2])


def read_version(text: str) -> tuple[str, int]:
    """Name and version of NAME@VERSION. Raises InputError ``criteria_label``: told to everybody."""
    name, version = read_label(text)
    if version is None:
        raise InputError("criteria_label", f"which version of {name}? write {name}@VERSION", hint="genovault criteria list")
    return name, version


def require_name(vault: UnlockedVault, label: str) -> None:
    """Say that a pack is spelled wrongly, of those that the principal may list. Raises InputError ``criteria_unknown``."""
    if label not in {one.pack.label for one in _visible(vault)}:
        raise _unknown(label)


def add(vault: UnlockedVault, document: dict[str, Any]) -> KeptPack:
    """Record a pack, to be approved. The same text again changes nothing.

    Raises:
        InputError: ``document_rejected``; ``criteria_exists``: the version has another text.
    """
    with vault.trail.attempting(Action.CRITERIA_ADD):
        pack = declared(lambda: packs.parse_pack(document), name="the pack")
        text = pack.text()
        with vault.books.write() as tx:
            held = tx.get(_Row, (pack.name, pack.version))
            if held is not None:
                if held.sha256 != sha256(text.encode()):
                    hint = "give the changed pack another version"
                    raise InputError("criteria_exists", f"{pack.label} is there, and says something else", hint=hint)
                return _opened(vault, held)
            row = _Row(
                name=pack.name,
                version=pack.version,
                sha256=sha256(text.encode()),
                panel_id=None,
                added_by=vault.principal,
                added=to_micros(vault.clock()),
                proposed_by=None,
                proposed=None,
                approved_by=None,
                approved=None,
                retired=None,
                sealed=b"",
            )
            _seal(vault, row, text)
            tx.add(row)
            tx.flush()
            vault.trail.append(tx, Action.CRITERIA_ADD, Outcome.DONE, **_entry(pack, row))
            return _opened(vault, row)


def approve(vault: UnlockedVault, label: str) -> ApprovedPack:
    """Approve a pack for the newest version of its panel. With several stewards the first proposes, and another gives the same act.

    Raises:
        InputError: ``criteria_label``, ``criteria_unknown``; ``criteria_state``: it is approved for this panel already, or retired;
            ``panel_unknown``; ``assembly_mismatch``; ``locus_outside_panel``. RefusedError: ``self_confirmation``. UnavailableError: as ``approvals.sign``.
    """
    with vault.trail.attempting(Action.CRITERIA_APPROVE):
        name, version = read_label(label)
        held = _held(vault, name, version)
        panel = panels.by_name(vault, held.pack.panel)
        pack_loci.require_fits(vault, held.pack, panel)
        with vault.books.write() as tx:
            row = tx.get_one(_Row, (held.pack.name, held.pack.version))
            found = _opened(vault, row)
            if found.state == RETIRED or (found.state == APPROVED and row.panel_id == panel.panel_id):
                raise InputError("criteria_state", f"{found.pack.label} is {found.state} already", hint="genovault criteria list")
            approval = _approval(row, panel.panel_id)
            agreed = second_steward.sign(vault, tx, approval, two=second_steward.needed(tx))
            tx.flush()
            if agreed.settled:
                row.panel_id, row.proposed_by, row.proposed = panel.panel_id, agreed.proposed_by, agreed.proposed
                row.approved_by, row.approved = vault.principal, agreed.approved
                _seal(vault, row, found.pack.text())
                tx.flush()
            entry = _entry(found.pack, row)
            entry["detail"] |= {"panel_version": panel.version}
            flags = agreed.flags if agreed.settled else ("proposed",)
            vault.trail.append(tx, Action.CRITERIA_APPROVE, Outcome.DONE, flags=flags, **entry)
            return ApprovedPack(_opened(vault, row), agreed.settled, agreed.proposed_by)


def retire(vault: UnlockedVault, label: str, *, reason: str) -> KeptPack:
    """Ask a version of a pack of nobody any more, a match in progress included. It is for good; another version can be added.

    Raises:
        InputError: ``criteria_label``, ``criteria_unknown``, ``criteria_state``; ``reason_missing``, ``reason_too_long``.
    """
    with vault.trail.attempting(Action.CRITERIA_RETIRE):
        said, (name, version) = require_reason(reason), read_label(label)
        held = _held(vault, name, version)
        with vault.books.write() as tx:
            row = tx.get_one(_Row, (held.pack.name, held.pack.version))
            found = _opened(vault, row)
            if found.state == RETIRED:
                raise InputError("criteria_state", f"{found.pack.label} is retired already")
            row.retired = to_micros(vault.clock())
            _seal(vault, row, found.pack.text())
            approvals.sign(vault, tx, _retirement(row), signed=row.retired)
            tx.flush()
            entry = _entry(found.pack, row)
            entry["detail"] |= {"reason": said}
            vault.trail.append(tx, Action.CRITERIA_RETIRE, Outcome.DONE, **entry)
            return _opened(vault, row)


def list_all(vault: UnlockedVault) -> list[KeptPack]:
    """Packs that the principal may see, by name and version; logged. Engines and researchers see those approved for panels they may ask of."""
    with vault.trail.attempting(Action.CRITERIA_SHOW):
        found = _visible(vault)
        vault.trail.record(Action.CRITERIA_SHOW, Outcome.DONE)
    return found


def waiting(vault: UnlockedVault) -> list[KeptPack]:
    """Packs that nobody approved yet. Callers log the look."""
    return [one for one in _visible(vault) if one.state == ADDED]


def show(vault: UnlockedVault, label: str) -> KeptPack:
    """One pack that the principal may see; its newest version, where none is named. Raises InputError ``criteria_label``, ``criteria_unknown``."""
    with vault.trail.attempting(Action.CRITERIA_SHOW):
        name, version = read_label(label)
        found = [one for one in _visible(vault) if one.pack.name == name and version in (None, one.pack.version)]
        if not found:
            raise _unknown(label)
        vault.trail.record(Action.CRITERIA_SHOW, Outcome.DONE)
    return found[-1]


def require(vault: UnlockedVault, tx: Transaction, scope: AccessScope) -> KeptPack:
    """The pack that a scope asks of its panel now, held against the signatures under it.

    Raises:
        RefusedError: ``criteria_unknown``; ``criteria_not_approved``: for this version of this panel nobody approved it, or it was retired.
        IntegrityError: ``criteria_pack_altered``, ``approval_missing``, ``seal_broken``.
    """
    row, panel = tx.get(_Row, read_version(scope.criteria or "")), scope.panel
    if row is None:
        raise RefusedError("criteria_unknown", f"there is no criteria pack {scope.criteria}", hint="genovault criteria list")
    found = _opened(vault, row)
    if found.state != APPROVED or panel is None or row.panel_id != panel.panel_id:
        was = f"is {found.state}" if found.state != APPROVED else "was approved for another version or panel"
        message = f"{found.pack.label} {was}: it is not asked of {'anything' if panel is None else f'version {panel.version} of {panel.name}'}"
        raise RefusedError("criteria_not_approved", message, hint=f"genovault criteria approve {found.pack.label}")
    _require_signed(vault, tx, row)
    return found


def faults(vault: UnlockedVault) -> list[str]:
    """Packs that are not as they were recorded and signed, a line each."""

    def check(tx: Transaction, row: _Row) -> None:
        if _opened(vault, row).state == APPROVED:
            _require_signed(vault, tx, row)

    return row_faults(vault, _Row, check, lambda row, error: f"criteria pack {row.name}@{row.version}: {error.message}")


def _visible(vault: UnlockedVault) -> list[KeptPack]:
    with vault.books.read() as tx:
        every = [_opened(vault, row) for row in tx.scalars(select(_Row).order_by(_Row.name, _Row.version))]
    if vault.role not in UNINFORMED_ROLES:
        return every
    own = {panel.panel_id for panel in askable.visible_panels(vault)}
    return [one for one in every if one.state == APPROVED and one.panel_id in own]


def _held(vault: UnlockedVault, name: str, version: int | None) -> KeptPack:
    """The newest (or the named) version of a pack. Raises InputError ``criteria_unknown``."""
    query = select(_Row).where(_Row.name == name).order_by(_Row.version.desc()).limit(1)
    with vault.books.read() as tx:
        row = tx.scalars(query if version is None else query.where(_Row.version == version)).first()
        if row is None:
            raise _unknown(name if version is None else f"{name}@{version}")
        return _opened(vault, row)


def _unknown(label: str) -> InputError:
    return InputError("criteria_unknown", f"there is no criteria pack {label:.80}", hint="genovault criteria list")


def _require_signed(vault: UnlockedVault, tx: Transaction, row: CriteriaPackRow) -> None:
    if row.panel_id is None or row.approved_by is None or row.approved is None or approvals.stands(tx, _retirement(row)):
        raise altered(SEALED.collection)
    approval = _approval(row, row.panel_id)
    approved, proposed = (row.approved_by, row.approved), (row.proposed_by, row.proposed)
    second_steward.require(vault, tx, approval, approved=approved, proposed=proposed)


def _approval(row: CriteriaPackRow, panel_id: bytes) -> Approval:
    """Approval that stewards sign: a pack's text, for a version of a panel."""
    content = sha256(encode_context("genovault/criteria-approved/v1", row.sha256, panel_id))
    return Approval(Action.CRITERIA_APPROVE, KIND, _record_id(row), content)


def _retirement(row: CriteriaPackRow) -> Approval:
    return Approval(Action.CRITERIA_RETIRE, KIND, _record_id(row), row.sha256)


def _record_id(row: CriteriaPackRow) -> bytes:
    return sha256(encode_context("genovault/criteria-pack/v1", row.name, row.version))


def _seal(vault: UnlockedVault, row: CriteriaPackRow, text: str) -> None:
    row.sealed = SEALED.seal(vault.records, _record_id(row), {"pack": text}, standing=_standing(row))


def _standing(row: CriteriaPackRow) -> list[str | int]:
    """The clear columns, as they are sealed too."""
    panel = "" if row.panel_id is None else row.panel_id.hex()
    first, second = (row.proposed_by or "", row.proposed or 0), (row.approved_by or "", row.approved or 0)
    return [row.name, row.version, row.sha256.hex(), panel, row.added_by, row.added, *first, *second, row.retired or 0]


def _opened(vault: UnlockedVault, row: CriteriaPackRow) -> KeptPack:
    """Raises IntegrityError ``criteria_pack_altered``, ``seal_broken``."""
    text = str(SEALED.open(vault.records, _record_id(row), row.sealed, standing=_standing(row))["pack"])
    if sha256(text.encode()) != row.sha256:
        raise altered(SEALED.collection)
    state = RETIRED if row.retired is not None else ADDED if row.approved_by is None else APPROVED
    return KeptPack(
        pack=declared(lambda: _parsed(text), name=f"{row.name}@{row.version}"),
        sha256=row.sha256.hex(),
        state=state,
        panel_id=row.panel_id,
        added_by=row.added_by,
        added=rfc3339(from_micros(row.added)),
        proposed_by=row.proposed_by,
        approved_by=row.approved_by,
        approved=None if row.approved is None else rfc3339(from_micros(row.approved)),
    )


@lru_cache(8)
def _parsed(text: str) -> CriteriaPack:
    """A pack by its text, which whoever asks has held against its digest: the same few are asked all day."""
    return packs.parse_stored(text)


def _entry(pack: CriteriaPack, row: CriteriaPackRow) -> dict[str, Any]:
    """Entry fields of a pack: digest and version, and its names for auditors."""
    return {"obj": ObjectRef("criteria", f"{row.sha256.hex()}:{row.version}"), "detail": {"name": pack.name, "panel": pack.panel}}
