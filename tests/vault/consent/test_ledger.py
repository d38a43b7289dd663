"""The consent ledger: events in order, chained, compared with the log, read once and then only what is new."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault import gate
from vault.audit.consent_head import consent_head
from vault.consent import ledger, recording
from vault.errors import IntegrityError
from vault.session.unlocked_vault import open_vault
from vault.storage.book_tables import ConsentBatchRow, ConsentPrivateRow
from vault.subjects.references import resolve


def read(s):
    with s.books.read() as tx:
        return ledger.read(tx, s)


def test_every_event_has_its_number_and_the_log_knows_the_end(s):
    book = read(s)
    events = [event for sample in vaults.SAMPLES for event in book.events_of(resolve(s, sample))]
    assert sorted(event.seq for event in events) == list(range(1, 14))
    assert book.head.seq == 13
    with s.books.read() as tx:
        logged = consent_head(tx)
        assert ledger.last(tx, s.vault_id) == book.head
    assert (logged.seq, logged.head) == (13, book.head.digest)


def test_an_event_reads_back_as_it_was_recorded(s):
    recording.withdraw(s, "S01")
    event = read(s).events_of(resolve(s, "S01"))[-1]
    assert event.withdrawal.scope == "everything"
    assert event.recorded_by == "ann"
    assert event.legal_time.tzinfo is not None


def test_who_never_said_anything_has_no_events(s):
    vaults.bring(s, vaults.vcf("N1", "22 5 A G 0|1"), "new", unknown="register")
    assert read(s).events_of(resolve(s, "N1")) == ()


def test_each_event_moves_the_head(s):
    heads = {read(s).head.digest}
    for sample in ("S01", "S02"):
        recording.withdraw(s, sample)
        heads.add(read(s).head.digest)
    assert len(heads) == 3


def test_nothing_recorded_moves_nothing(s):
    before = read(s).head
    with s.books.write() as tx:
        assert ledger.append(tx, s, []) == (before, [])


def test_a_failed_transaction_leaves_no_event(s):
    before = read(s).head

    def failing():
        with s.books.write() as tx:
            tx.connection().exec_driver_sql("DELETE FROM lease")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert read(s).head == before


def test_another_process_is_seen(folder, s):
    read(s)
    with opened(folder) as other:
        recording.withdraw(other, "S05")
    book = read(s)
    assert book.head.seq == 14
    assert len(book.events_of(resolve(s, "S05"))) == 2


def test_two_vaults_begin_with_different_chains(folder, tmp_path):
    from vault.consent.ledger_columns import start  # noqa: PLC0415 - one use

    assert start(b"a" * 16) != start(b"b" * 16)


def test_a_ledger_without_its_log_is_refused(folder):
    sql(folder / "books.db", "DELETE FROM audit_leaf WHERE CAST(leaf AS TEXT) LIKE '%\"consent\"%'")
    s = open_vault(folder, factor=vaults.FACTOR)
    with pytest.raises(IntegrityError) as caught:
        read(s)
    assert caught.value.code == "consent_ledger_behind"
    s.abandon()


@pytest.mark.parametrize("touch", ["edited", "deleted", "moved", "truncated"])
def test_a_ledger_that_was_touched_is_noticed_before_anything_is_decided(held, touch):
    for sample in ("SAMPLE_3", "SAMPLE_4"):
        held.answer({sample: "yes"})
        recording.withdraw(held.vault, sample)
    held.project("demo")
    held.reopen()
    with held.vault.books.write() as tx:
        rows = {seq: tx.get_one(ConsentBatchRow, seq) for seq in (1, 2, 3, 4)}
        if touch == "edited":
            altered = bytearray(rows[2].events)
            altered[60] ^= 1
            tx.execute(update(ConsentBatchRow).where(ConsentBatchRow.last_seq == 2).values(events=bytes(altered)))
        elif touch == "moved":
            rows[1].events, rows[2].events = rows[2].events, rows[1].events
        else:
            tx.delete(rows[4 if touch == "truncated" else 2])
    with pytest.raises(IntegrityError) as caught:
        gate.check(held.vault, "demo")
    assert caught.value.code == ("consent_ledger_behind" if touch == "truncated" else "consent_ledger_altered")


def test_a_sealed_part_of_another_event_is_noticed(held):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "yes"})
    with held.vault.books.write() as tx:
        first, second = (tx.get_one(ConsentPrivateRow, seq) for seq in (1, 2))
        first.sealed, second.sealed = second.sealed, first.sealed
    with pytest.raises(IntegrityError) as caught:
        recording.history(held.vault, "SAMPLE_3")
    assert caught.value.code == "consent_ledger_altered"


def test_a_session_keeps_what_it_checked_and_reads_what_follows(held):
    held.answer({"SAMPLE_3": "yes"})
    with held.vault.books.read() as tx:
        first = ledger.read(tx, held.vault)
        assert ledger.read(tx, held.vault).columns is first.columns
    recording.withdraw(held.vault, "SAMPLE_3")
    with held.vault.books.read() as tx:
        assert [event.seq for event in ledger.read(tx, held.vault).events_of(recording.resolve(held.vault, "SAMPLE_3"))] == [
            1,
            2,
        ]
