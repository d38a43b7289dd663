"""A custodian or an engine, used with code of its own: what its key may sign at all is still held to what its role may do.

Custodians record withdrawals and engines submit requests, so both sign a collection; neither permits, or takes back, what a steward
alone does.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import request_records, requests
from vault.audit.actions import Action, Outcome
from vault.consent import ledger, ledger_columns, ledger_witnesses, recording
from vault.crypto.keystore import Role
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError, IntegrityError, RefusedError
from vault.operations import doctor
from vault.session import approvals
from vault.storage.book_tables import ConsentBatchRow, ConsentPrivateRow, RequestRow
from vault.storage.database import Transaction
from vault.subjects.references import resolve


@pytest.fixture
def custodian(small):
    return vaults.add_role(small, Role.CUSTODIAN)


@pytest.fixture
def engine(small):
    return vaults.add_role(small, Role.ENGINE)


def seen(folder):
    """Number of people whom a steward's view shows, or the code with which it is refused."""
    try:
        with opened(folder) as s:
            return len(gate.view(s, project="demo", dataset="cohort").pseudonyms)
    except GenovaultError as error:
        return error.code


def accept_for(s, tx: Transaction, subject: bytes, *, act=Action.CONSENT_WITHDRAW) -> None:
    """Chain what somebody else accepted to the ledger, as said by ``subject``."""
    first = tx.get(ConsentBatchRow, 12)
    head = ledger.last(tx, s.vault_id)
    events = np.frombuffer(first.events, ledger_columns.EVENT)
    said, counts = np.unique(events["statement_id"], return_counts=True)
    model = events[events["statement_id"] == said[counts.argmax()]][:1].copy()
    model["event_id"] = b"01890000-0000-7000-8000-00000000ffff"
    model["subject"] = np.frombuffer(subject, ">u8")
    model["sealed"] = np.frombuffer(sha256(b"x"), "V32")
    packed = model.tobytes()
    times = first.times[: 8 * int(model["n_times"][0])]
    chained = ledger_columns.batch_head(head.digest, head.seq + 1, packed, times)
    tx.add(ConsentBatchRow(last_seq=head.seq + 1, events=packed, times=times, head=chained, format=2))
    tx.add(ConsentPrivateRow(seq=head.seq + 1, subject_id=subject, sealed=b"x"))
    tx.flush()
    s.trail.append(tx, act, Outcome.DONE, consent=ledger.Head(head.seq + 1, chained).entry(added=1))


def test_a_custodian_accepts_for_nobody(small, custodian):
    with opened(small) as s:
        declined = resolve(s, "S11")
    before = seen(small)
    with opened(small, factor=custodian, principal="custodian") as s, s.books.write() as tx:
        accept_for(s, tx, declined)
    assert (before, seen(small)) == (10, "consent_ledger_altered")


def test_what_a_custodian_may_record_counts_and_a_steward_goes_on_from_there(small, custodian):
    with opened(small, factor=custodian, principal="custodian") as s:
        recording.withdraw(s, "S03")
    assert seen(small) == 9
    with opened(small) as s:
        recording.record(s, "S11", "broad-research", {"research_use": "yes"})
        with s.books.read() as tx:
            assert s.books.settled(tx) == dataclasses.astuple(ledger.last(tx, s.vault_id))
        assert doctor.examine(s).ok
    assert seen(small) == 10


def take_out_last(tx: Transaction) -> None:
    last = tx.scalars(select(ConsentBatchRow.last_seq).order_by(ConsentBatchRow.last_seq.desc())).first()
    tx.execute(delete(ConsentPrivateRow).where(ConsentPrivateRow.seq == last))
    tx.execute(delete(ConsentBatchRow).where(ConsentBatchRow.last_seq == last))


@pytest.mark.parametrize("who", ["custodian", "ann"])
def test_a_withdrawal_is_not_taken_out_under_later_ones(small, custodian, monkeypatch, who):
    """Two withdrawals of others in its place, chained and logged: the log still says what the first one added."""
    with opened(small) as s:
        recording.withdraw(s, "S03")
    assert seen(small) == 9
    with opened(small, factor=custodian if who == "custodian" else vaults.FACTOR, principal=who) as s:
        with s.books.write() as tx:
            take_out_last(tx)
        with monkeypatch.context() as patch:
            patch.setattr(ledger_witnesses, "require", lambda *_: None)
            for other in ("S11", "S12"):
                recording.withdraw(s, other)
    assert seen(small) == "consent_ledger_behind"


def test_an_engine_opens_no_request_again(small, engine, tmp_path):
    with opened(small) as s:
        asked = requests.list_all(s)[0].request_id
        with s.books.read() as tx:
            row = tx.get(RequestRow, asked)
            kept = {"state": row.state, "sealed": row.sealed}
        requests.deny(s, asked, "no")
    with opened(small, factor=engine, principal="engine") as s, s.books.write() as tx:
        tx.execute(update(RequestRow).where(RequestRow.request_id == asked).values(**kept))
    with opened(small) as s, pytest.raises(RefusedError) as caught:
        gate.extract(s, asked, tmp_path / "out")
    assert caught.value.code == "request_denied"


@pytest.mark.parametrize("signed", ["as it was", "by the engine", "not at all"])
def test_an_engine_changes_nothing_of_what_others_asked(small, engine, tmp_path, signed):
    with opened(small) as s:
        asked = requests.list_all(s)[0].request_id
    with opened(small, factor=engine, principal="engine") as s, s.books.write() as tx:
        row = tx.get(RequestRow, asked)
        _, made = request_records.content(s, row)
        if signed != "as it was":
            own = approvals.signature_of(
                s, request_records.approval_of(Action.REQUEST_SUBMIT, row, requests.Spec()), signed=row.created
            )
            made = own if signed == "by the engine" else None
        row.sealed = request_records.seal(s, row, requests.Spec(), made)
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.extract(s, asked, tmp_path / "out")
    assert caught.value.code == "approval_missing"


def test_requests_that_an_engine_took_out_are_missed(small, engine):
    """Who may submit requests signs them together; that one went is told by the log."""
    with opened(small) as s:
        asked = vaults.ask(s)
    with opened(small, factor=engine, principal="engine") as s, s.books.write() as tx:
        tx.execute(delete(RequestRow).where(RequestRow.request_id == asked))
    with opened(small) as s:
        assert [f.code for f in doctor.examine(s).findings if f.severity == "error"] == ["request_missing"]
