"""Recipient book: to whom extracts may be sealed, each a name and a Crypt4GH public key.

A key is added by one steward and confirmed by another, who types its fingerprint as the recipient told it by another way than the key file;
with one steward, by that one, and the entry says so. Both sign name and key, and whoever retires a key signs that too, for good: an edited,
copied or put back row seals nothing to anybody. A name has one key at a time; a new one is added once the old one is retired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from vault.access import second_steward
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto import crypt4gh_keys
from vault.crypto.context import encode_context
from vault.crypto.primitives import constant_time_equal, sha256
from vault.errors import InputError, IntegrityError, RefusedError
from vault.files.plain_text import printable
from vault.ids import new_id
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import RecipientRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("recipient")
ADDED, CONFIRMED, RETIRED = "added", "confirmed", "retired"
MAX_NAME_CHARS = 200  # as in a declaration
MAX_KEY_FILE_BYTES = crypt4gh_keys.MAX_KEY_FILE_BYTES


@dataclass(frozen=True)
class RecipientKey:
    """A recipient's key in the book. ``confirmed_by`` None: nothing is sealed to it yet."""

    recipient_id: bytes
    name: str
    state: str
    public: bytes  # 32 bytes
    fingerprint: str
    added_by: str
    added: str
    confirmed_by: str | None
    self_confirmed: bool
    retired: str | None


def add(vault: UnlockedVault, name: str, key_file: bytes) -> RecipientKey:
    """Add a recipient's key, to be confirmed.

    Raises:
        InputError: ``recipient_name``; ``recipient_exists``: the name has a key; ``recipient_key_taken``: another name has this key; as
            ``parse_public_key``. UnavailableError: as ``approvals.sign``.
    """
    with vault.trail.attempting(Action.RECIPIENT_ADD):
        if not name or name != printable(name.strip()) or len(name) > MAX_NAME_CHARS:
            raise InputError("recipient_name", f"a recipient's name is 1 to {MAX_NAME_CHARS} printable characters")
        public = crypt4gh_keys.parse_public_key(key_file)
        with vault.books.write() as tx:
            for row in _present(tx):
                if row.name == name:
                    hint = "if it is to have another one: genovault recipient retire"
                    raise InputError("recipient_exists", f"{name} has a key that is {row.state}", hint=hint)
                if row.public == public:
                    raise InputError("recipient_key_taken", f"this is the key of {row.name}", hint="give the recipient's own key")
            row = RecipientRow(
                recipient_id=new_id(vault.random),
                name=name,
                state=ADDED,
                public=public,
                added_by=vault.principal,
                added=to_micros(vault.clock()),
                confirmed_by=None,
                confirmed=None,
                self_confirmed=False,
                retired=None,
                sealed=b"",
            )
            row.sealed = _seal(vault, row)
            tx.add(row)
            approvals.sign(vault, tx, approval_of(Action.RECIPIENT_ADD, row), signed=row.added)
            tx.flush()
            vault.trail.append(tx, Action.RECIPIENT_ADD, Outcome.DONE, **_entry(row))
            return _opened(vault, row)


def confirm(vault: UnlockedVault, name: str, fingerprint: str) -> RecipientKey:
    """Confirm a key by its fingerprint, which the recipient has told by another way than the key file.

    With one steward, that one confirms what they added, flagged ``self_approved``; with two, another does.

    Raises:
        InputError: ``recipient_unknown``; ``recipient_state``: it is confirmed already; ``fingerprint_differs``.
        RefusedError: ``self_confirmation``. IntegrityError: ``recipient_altered``, ``approval_missing``.
    """
    with vault.trail.attempting(Action.RECIPIENT_CONFIRM), vault.books.write() as tx:
        row = _row(tx, name)
        _open(vault, row)
        if row.state != ADDED:
            raise InputError("recipient_state", f"the key of {name} is {row.state} already", hint="genovault recipient list")
        own = row.added_by == vault.principal
        if own and second_steward.needed(tx):
            raise RefusedError("self_confirmation", "another steward confirms what this one added", hint="ask a colleague")
        approvals.require(vault, tx, approval_of(Action.RECIPIENT_ADD, row), principal=row.added_by, signed=row.added)
        given = "".join(fingerprint.split()).replace(":", "").lower()
        if not constant_time_equal(given.encode(), crypt4gh_keys.fingerprint(row.public).encode()):
            hint = "ask the recipient again, by telephone; if the key is not theirs: genovault recipient retire"
            raise InputError("fingerprint_differs", f"this is not the fingerprint of the key of {name}", hint=hint)
        row.state, row.confirmed_by, row.self_confirmed = CONFIRMED, vault.principal, own
        row.confirmed = to_micros(vault.clock())
        row.sealed = _seal(vault, row)
        approvals.sign(vault, tx, approval_of(Action.RECIPIENT_CONFIRM, row), signed=row.confirmed)
        tx.flush()
        flags = ("self_approved",) if own else ()
        vault.trail.append(tx, Action.RECIPIENT_CONFIRM, Outcome.DONE, flags=flags, **_entry(row))
        return _opened(vault, row)


def retire(vault: UnlockedVault, name: str, *, reason: str) -> RecipientKey:
    """Seal nothing to a recipient's key any more, an extract in progress included. It is for good; the name may get another key.

    Raises:
        InputError: ``recipient_unknown``; ``reason_missing``, ``reason_too_long``. IntegrityError: ``recipient_altered``.
    """
    with vault.trail.attempting(Action.RECIPIENT_RETIRE):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row = _row(tx, name)
            _open(vault, row)
            row.state, row.retired = RETIRED, to_micros(vault.clock())
            row.sealed = _seal(vault, row)
            approvals.sign(vault, tx, approval_of(Action.RECIPIENT_RETIRE, row), signed=row.retired)
            tx.flush()
            entry = _entry(row)
            entry["detail"] |= {"reason": said}
            vault.trail.append(tx, Action.RECIPIENT_RETIRE, Outcome.DONE, **entry)
            return _opened(vault, row)


def list_all(vault: UnlockedVault) -> list[RecipientKey]:
    """All keys of the book, retired ones too, by name and then by time."""
    query = select(RecipientRow).order_by(RecipientRow.name, RecipientRow.added, RecipientRow.recipient_id)
    with vault.books.read() as tx:
        return [_opened(vault, row) for row in tx.scalars(query)]


def missing(tx: Transaction, names: Sequence[str]) -> list[str]:
    """Names that have no confirmed key."""
    held = {row.name for row in _present(tx) if row.state == CONFIRMED}
    return [name for name in names if name not in held]


def require(vault: UnlockedVault, tx: Transaction, names: Sequence[str]) -> tuple[RecipientKey, ...]:
    """Confirmed keys of recipients, in their order, held against the signatures under them.

    Raises:
        RefusedError: ``recipient_unknown``, ``recipient_unconfirmed``, ``recipient_retired``. IntegrityError: ``recipient_altered``,
            ``approval_missing``.
    """
    return tuple(_required(vault, tx, name) for name in names)


def faults(vault: UnlockedVault) -> list[str]:
    """Keys that are in force and not as they were recorded and signed, a line each."""
    found = []
    with vault.books.read() as tx:
        for name in tx.scalars(select(RecipientRow.name).where(RecipientRow.state == CONFIRMED)).all():
            try:
                _required(vault, tx, name)
            except (IntegrityError, RefusedError) as error:
                found.append(f"recipient {printable(name)}: {error.message}")
    return found


def approval_of(act: Action, row: RecipientRow) -> Approval:
    """Approval that a steward signs to add, confirm or retire a key: of name and key."""
    content = sha256(encode_context("genovault/recipient/v1", row.name, row.public))
    return Approval(act, "recipient", row.recipient_id, content)


def _required(vault: UnlockedVault, tx: Transaction, name: str) -> RecipientKey:
    rows = tx.scalars(select(RecipientRow).where(RecipientRow.name == name)).all()
    row = next((one for one in rows if one.state != RETIRED), None)
    if row is None:
        code, said = ("recipient_retired", "is retired") if rows else ("recipient_unknown", "is not in the recipient book")
        raise RefusedError(code, f"recipient {name} {said}", hint="genovault recipient add NAME --key FILE, then confirm")
    _open(vault, row)
    if row.state != CONFIRMED or row.confirmed_by is None or row.confirmed is None:
        raise RefusedError(
            "recipient_unconfirmed", f"the key of recipient {name} is not confirmed", hint="genovault recipient confirm"
        )
    if approvals.stands(tx, approval_of(Action.RECIPIENT_RETIRE, row)):
        raise altered(SEALED.collection)
    confirmed = approval_of(Action.RECIPIENT_CONFIRM, row)
    first = approvals.require(vault, tx, approval_of(Action.RECIPIENT_ADD, row), principal=row.added_by, signed=row.added)
    second = approvals.require(vault, tx, confirmed, principal=row.confirmed_by, signed=row.confirmed)
    if not row.self_confirmed:
        approvals.require_two(confirmed, first, second, principals=(row.added_by, row.confirmed_by))
    return _opened(vault, row)


def _present(tx: Transaction) -> Sequence[RecipientRow]:
    """Rows that are not retired."""
    return tx.scalars(select(RecipientRow).where(RecipientRow.state != RETIRED)).all()


def _row(tx: Transaction, name: str) -> RecipientRow:
    row = next((row for row in _present(tx) if row.name == name), None)
    if row is None:
        raise InputError(
            "recipient_unknown", "there is no such recipient, or its key is retired", hint="genovault recipient list"
        )
    return row


def _seal(vault: UnlockedVault, row: RecipientRow) -> bytes:
    return SEALED.seal(vault.records, row.recipient_id, {}, standing=_standing(row))


def _open(vault: UnlockedVault, row: RecipientRow) -> None:
    """Raises IntegrityError ``recipient_altered``, ``seal_broken``."""
    SEALED.open(vault.records, row.recipient_id, row.sealed, standing=_standing(row))


def _standing(row: RecipientRow) -> list[str | int | bool]:
    """The clear columns, as they are sealed too."""
    who = row.added_by, row.confirmed_by or "", row.self_confirmed
    return [row.name, row.state, row.public.hex(), *who, row.added, row.confirmed or 0, row.retired or 0]


def _opened(vault: UnlockedVault, row: RecipientRow) -> RecipientKey:
    _open(vault, row)
    return RecipientKey(
        recipient_id=row.recipient_id,
        name=row.name,
        state=row.state,
        public=row.public,
        fingerprint=crypt4gh_keys.fingerprint(row.public),
        added_by=row.added_by,
        added=rfc3339(from_micros(row.added)),
        confirmed_by=row.confirmed_by,
        self_confirmed=row.self_confirmed,
        retired=None if row.retired is None else rfc3339(from_micros(row.retired)),
    )


def _entry(row: RecipientRow) -> dict[str, Any]:
    """Entry fields of a key: its fingerprint, and its name for auditors."""
    mark = crypt4gh_keys.fingerprint(row.public)
    return {"obj": ObjectRef("recipient", mark), "detail": {"name": row.name, "fingerprint": mark}}
