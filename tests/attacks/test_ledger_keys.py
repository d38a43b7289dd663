"""A slot that may not record consent, used with code of its own on the books: no batch of its making decides, and none goes back."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import delete, insert, select, update

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, ConsentHead, Event
from vault.consent import ledger, ledger_columns, recording
from vault.crypto.keystore import Role
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError
from vault.session import collection_heads
from vault.session.collections import COLLECTIONS
from vault.storage.book_tables import CollectionHeadRow, ConsentBatchRow, ConsentPrivateRow
from vault.subjects.references import resolve

BATCH = COLLECTIONS["consent_batch"]
ROLES = [Role.ENGINE, Role.AUDITOR]


def logged(s, tx, head, added, act=Action.CONSENT_RECORD):
    """An entry in a steward's name: whoever appends writes what they like."""
    event = Event(
        act=act, outcome=Outcome.DONE, actor=Actor(ActorKind.STEWARD, "ann"), consent=ConsentHead(head[0], head[1], added)
    )
    s.trail.log.append(tx, event)


def resign(s, tx, kept=None):
    """The collection's head, signed with the slot's own key (or put back as it was kept), and the state bound to the log anew."""
    signed = s.books._signed_heads
    heads, _ = signed.read(tx.connection())
    if kept is None:
        old, rows = heads["consent_batch"], BATCH.rows(tx.connection())
        digest, listing = BATCH.digest(rows), BATCH.listing(rows)
        head = dataclasses.replace(old, counter=old.counter + 1, digest=digest, listing_sha256=sha256(listing))
        head = dataclasses.replace(head, signer=s.unlocked.signer.public)
        signature = s.unlocked.signer.sign(collection_heads._signed_bytes(s.vault_id, "consent_batch", head))
        head = dataclasses.replace(head, signature=signature)
        kept = {**dataclasses.asdict(head), "listing": listing}
    tx.execute(delete(CollectionHeadRow).where(CollectionHeadRow.name == "consent_batch"))
    tx.execute(insert(CollectionHeadRow), [{"name": "consent_batch", **kept}])
    heads["consent_batch"] = collection_heads.CollectionHead(**{name: kept[name] for name in kept if name != "listing"})
    signed.sign(tx, heads, {})


def kept_head(s):
    columns = [column for column in CollectionHeadRow.__table__.columns if column.name != "name"]
    with s.books.unwatched.read() as tx:
        row = tx.execute(select(*columns).where(CollectionHeadRow.name == "consent_batch")).one()
    return dict(row._mapping)


def refused(folder, *who):
    for factor, principal in who:
        with opened(folder, factor=factor, principal=principal) as s:
            with pytest.raises(GenovaultError) as caught:
                gate.view(s, project="demo", dataset="cohort")
            assert caught.value.code in {"collection_altered", "consent_ledger_behind", "refused", "not_authorised"}
            if principal == "ann":
                assert caught.value.code in {"collection_altered", "consent_ledger_behind"}
                with pytest.raises(GenovaultError):
                    gate.check(s, "demo")


@pytest.mark.parametrize("role", ROLES)
def test_no_batch_is_signed_by_a_slot_that_may_not_record(small, role):
    """An acceptance for somebody who declined: chained, logged in a steward's name, and signed with the slot's own key."""
    factor = vaults.add_role(small, role)
    with opened(small) as s:
        declined = resolve(s, "S11")
    with opened(small, factor=factor, principal=role.value) as s, s.books.unwatched.write() as tx:
        first = tx.get(ConsentBatchRow, 12)
        head = ledger.last(tx, s.vault_id)
        forged = bytearray(first.events[: ledger_columns.EVENT.itemsize])
        forged[0:36] = b"01890000-0000-7000-8000-00000000ffff"
        forged[36:52] = declined
        events = bytes(forged)
        chained = ledger_columns.batch_head(head.digest, head.seq + 1, events, b"")
        tx.add(ConsentBatchRow(last_seq=head.seq + 1, events=events, times=b"", head=chained, format=2))
        tx.add(ConsentPrivateRow(seq=head.seq + 1, subject_id=declined, sealed=b"x"))
        tx.flush()
        logged(s, tx, (head.seq + 1, chained), 1)
        resign(s, tx)
    refused(small, (vaults.FACTOR, "ann"), (factor, role.value))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("added", [0, 1])
def test_no_withdrawal_is_taken_back_with_an_older_head(small, role, added):
    """The head of before, which a steward signed, put back with the older ledger, and entries that quote it."""
    factor = vaults.add_role(small, role)
    with opened(small) as s:
        kept = kept_head(s)
        recording.withdraw(s, "S03")
    with opened(small, factor=factor, principal=role.value) as s, s.books.unwatched.write() as tx:
        tx.execute(delete(ConsentBatchRow).where(ConsentBatchRow.last_seq == 14))
        tx.execute(delete(ConsentPrivateRow).where(ConsentPrivateRow.seq == 14))
        head = ledger.last(tx, s.vault_id)
        logged(s, tx, (head.seq, head.digest), added)
        resign(s, tx, kept)
    refused(small, (vaults.FACTOR, "ann"), (factor, role.value))


def test_the_command_and_the_library_refuse_the_role_too(small):
    factor = vaults.add_role(small, Role.ENGINE)
    with opened(small, factor=factor, principal="engine") as s:
        with pytest.raises(GenovaultError):
            recording.withdraw(s, "S03")
        with pytest.raises(GenovaultError) as caught, s.books.write() as tx:
            tx.execute(update(ConsentBatchRow).where(ConsentBatchRow.last_seq == 13).values(last_seq=14))
        assert caught.value.code == "not_authorised"
