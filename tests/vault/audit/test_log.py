"""Append, sign, read back."""

from __future__ import annotations

import json
import multiprocessing
import threading
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import pairwise

import pytest
from sqlalchemy import exc, text

from tests.support.audit_log import AUDITOR, ORIGIN, SIGNER, VKEY, event, open_log, tamper, token
from vault.audit import log as log_module
from vault.audit import reader
from vault.audit.actions import Action, Outcome
from vault.audit.log_head import LogHead
from vault.audit.merkle import CompactRange, consistency_proof, leaf_hash, verify_consistency
from vault.audit.note import ED25519, VerifierKey, open_checkpoint
from vault.audit.receipt import verify_receipt
from vault.audit.tiles import StoredTree
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.storage.database import Database


class _LostError(Exception):
    pass


def test_entries_of_a_time_are_found_by_their_ids(books, monkeypatch):
    monkeypatch.setattr(reader, "PAGE", 3)
    for _ in range(10):
        books.log.record(event())
    times = [datetime.fromisoformat(json.loads(entry.leaf)["t"]) for entry in books.log.entries()]
    first, last = times[2], times[6]
    found = [entry.index for entry in books.log.entries_made(first, last)]
    low, high = (int(one.timestamp() * 1_000) for one in (first, last))
    assert sorted(found) == [at for at, one in enumerate(times) if low <= int(one.timestamp() * 1_000) <= high]
    assert {2, 6} <= set(found)
    with books.database.read() as tx:
        plan = tx.execute(
            text("EXPLAIN QUERY PLAN SELECT idx FROM audit_leaf WHERE event_id >= x'00' AND event_id < x'01'")
        ).all()
    assert all("SCAN" not in str(row) for row in plan), "however long the log is"


class TestAppend:
    def test_indices_are_contiguous_from_zero(self, books):
        assert [books.log.record(event()).index for _ in range(3)] == [0, 1, 2]
        assert [a.index for a in books.log.record_many([event(), event()])] == [3, 4]
        assert books.log.size() == 5

    def test_an_entry_shares_the_fate_of_its_transaction(self, books):
        with suppress(_LostError), books.database.write() as tx:
            books.log.append(tx, event(detail={"a": 1}, subjects=[token(1)]))
            raise _LostError
        assert books.log.size() == 0
        assert books.log.entries_of(token(1)) == []
        again = books.log.record(event(detail={"a": 1}))
        assert books.log.detail(again.index, AUDITOR) == {"a": 1}

    def test_an_empty_batch_changes_nothing(self, books):
        assert books.log.record_many([]) == []

    def test_a_prepared_event_is_appended_as_it_was_checked(self, books):
        prepared = books.log.prepare(event())
        books.log.record(event())
        appended = books.log.record(prepared)
        assert (appended.index, appended.leaf) == (1, prepared.leaf)
        assert books.log.find(prepared.event_id).index == 1
        assert books.log.find("019b7ca9-8c88-7000-8000-000000000000") is None

    def test_trying_again_does_not_write_twice(self, books):
        prepared = books.log.prepare(event())
        assert books.log.record(prepared) == books.log.record(prepared)
        assert books.log.size() == 1

    def test_a_head_behind_its_entries_is_an_integrity_error(self, books):
        books.log.record(event())
        tamper(books.path, "UPDATE audit_head SET size = 0, stack = x''")
        with pytest.raises(IntegrityError) as caught:
            books.log.record(event())
        assert caught.value.code == "log_head_altered"

    def test_without_a_head_nothing_is_appended(self, books):
        tamper(books.path, "DELETE FROM audit_head")
        with pytest.raises(IntegrityError) as caught:
            books.log.record(event())
        assert caught.value.code == "log_head_missing"

    def test_an_appender_without_the_lock_is_noticed(self, books, monkeypatch):
        stale = LogHead(0, CompactRange().extend([leaf_hash(b"x")]))
        monkeypatch.setattr(log_module, "read_head", lambda *_: stale)
        with pytest.raises(UnavailableError) as caught:
            books.log.record(event())
        assert caught.value.code in {"log_conflict", "log_unavailable"}

    @pytest.mark.parametrize("table", ["audit_leaf", "audit_checkpoint", "audit_detail", "audit_set", "audit_session"])
    @pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET rowid = 9"])
    def test_rows_cannot_be_changed_by_mistake(self, books, table, statement):
        books.log.record(event(detail={"a": 1}, subjects=[token(1)]))
        books.log.checkpoint(SIGNER)
        with pytest.raises((exc.IntegrityError, exc.DBAPIError)), books.database.write() as tx:
            tx.execute(text(statement.format(table)))


class TestConcurrency:
    def test_threads_share_one_sequence(self, books):
        found: list[int] = []

        def work():
            found.extend(books.log.record(event()).index for _ in range(15))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(60))

    def test_processes_share_one_sequence(self, books):
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        children = [context.Process(target=append_some, args=(str(books.path), seed, queue)) for seed in (11, 12)]
        for child in children:
            child.start()
        found = [index for _ in children for index in queue.get(timeout=60)]
        for child in children:
            child.join()
        assert sorted(found) == list(range(50))
        assert books.log.checkpoint(SIGNER).split("\n")[1] == "50"


def append_some(path, seed, queue):
    log = open_log(Database(f"sqlite:///{path}"), seed)
    queue.put([log.record(event(detail={"seed": seed})).index for _ in range(25)])


class TestUnknownOutcome:
    """docs/design/reliability.md §6.1: a commit that reported failure may have happened."""

    def test_committed_all_the_same_is_found_by_id(self, books, monkeypatch):
        monkeypatch.setattr(books.database, "write", failing(books.database.write, commits=True))
        assert books.log.record(event()).index == 0
        assert books.log.size() == 1

    def test_not_committed_means_unavailable(self, books, monkeypatch):
        monkeypatch.setattr(books.database, "write", failing(books.database.write, commits=False))
        with pytest.raises(UnavailableError) as caught:
            books.log.record(event())
        assert caught.value.code == "log_unavailable"
        monkeypatch.undo()
        assert books.log.record(event()).index == 0

    def test_neither_writable_nor_readable_means_unavailable(self, books, monkeypatch):
        monkeypatch.setattr(books.database, "write", failing(books.database.write, commits=True))
        monkeypatch.setattr(books.database, "read", failing(books.database.read, commits=True))
        with pytest.raises(UnavailableError) as caught:
            books.log.record(event())
        assert caught.value.code == "log_unavailable"

    def test_a_read_only_file_refuses(self, books):
        books.log.record(event())
        books.database.close()
        with books.database.write() as tx:
            tx.execute(text("PRAGMA query_only = 1"))
        with pytest.raises(UnavailableError) as caught:
            books.log.record(event())
        assert caught.value.code == "log_unavailable"


def failing(real, *, commits):
    """A transaction whose commit reports failure, with or without effect."""

    @contextmanager
    def transaction():
        with real() as tx:
            yield tx
            if not commits:
                tx.rollback()
        raise UnavailableError("database_unavailable", "the database did not answer")

    return transaction


class TestCheckpoint:
    def test_each_checkpoint_extends_the_one_before(self, books):
        sizes, heads = (1, 2, 300), []
        for size in sizes:
            books.log.record_many([event()] * (size - books.log.size()))
            heads.append(open_checkpoint(books.log.checkpoint(SIGNER), ORIGIN, [VKEY]))
        assert [head.size for head in heads] == list(sizes)
        with books.database.read() as tx:
            for old, new in pairwise(heads):
                proof = consistency_proof(old.size, new.size, StoredTree(tx).node)
                verify_consistency(old.size, new.size, proof, old.root, new.root)
        assert len(books.log.checkpoints()) == 3

    def test_nothing_new_gives_the_same_note(self, books):
        books.log.record(event())
        assert books.log.checkpoint(SIGNER) == books.log.checkpoint(SIGNER)
        assert books.log.latest_checkpoint() == books.log.checkpoints()[0]

    def test_an_altered_tail_is_not_signed(self, books):
        books.log.record_many([event()] * 3)
        tamper(books.path, ("UPDATE audit_leaf SET leaf = ? WHERE idx = 1", (b"{}",)))
        assert self.refusal(books) == "log_tail_altered"

    def test_an_altered_tail_with_its_hash_is_not_signed(self, books):
        books.log.record_many([event()] * 3)
        tamper(books.path, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 1", (b"{}", leaf_hash(b"{}"))))
        assert self.refusal(books) == "log_head_altered"

    def test_a_deleted_tail_entry_is_not_signed_over(self, books):
        books.log.record_many([event()] * 3)
        tamper(books.path, "DELETE FROM audit_leaf WHERE idx = 1")
        assert self.refusal(books) == "log_incomplete"

    def test_a_rewritten_past_is_a_fork(self, books):
        books.log.record_many([event()] * 3)
        books.log.checkpoint(SIGNER)
        books.log.record(event())
        tamper(books.path, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 1", (b"{}", leaf_hash(b"{}"))))
        assert self.refusal(books) == "log_forked"

    def test_a_rolled_back_log_is_a_fork(self, books):
        books.log.record(event())
        books.log.checkpoint(SIGNER)
        tamper(books.path, "DELETE FROM audit_leaf", "UPDATE audit_head SET size = 0, stack = x''")
        assert self.refusal(books) == "log_forked"

    def test_a_forged_last_note_is_refused(self, books):
        books.log.record(event())
        note = books.log.checkpoint(SIGNER)
        forged = note.rpartition("\n\n")[0] + "\n\n" + "— x AAAAAAAA\n"
        tamper(books.path, ("UPDATE audit_checkpoint SET note = ?", (forged,)))
        books.log.record(event())
        assert self.refusal(books) == "note_signature_missing"

    def test_after_a_change_of_key_the_old_one_is_still_trusted(self, books):
        books.log.record(event())
        books.log.checkpoint(SIGNER)
        books.log.record(event())
        newer = SigningKey(Secret(b"\x08" * 32))
        note = books.log.checkpoint(newer, trusted=[VKEY])
        assert open_checkpoint(note, ORIGIN, [VerifierKey(ORIGIN, ED25519, newer.public)]).size == 2

    def test_what_another_process_signed_meanwhile_is_returned(self, books, monkeypatch):
        books.log.record(event())
        real = log_module.sign_note

        def slow(*arguments):
            monkeypatch.setattr(log_module, "sign_note", real)
            books.log.record(event())
            books.log.checkpoint(SIGNER)
            return real(*arguments)

        monkeypatch.setattr(log_module, "sign_note", slow)
        assert books.log.checkpoint(SIGNER).split("\n")[1] == "2"

    @staticmethod
    def refusal(books):
        with pytest.raises(IntegrityError) as caught:
            books.log.checkpoint(SIGNER)
        return caught.value.code


class TestReading:
    def test_entries_in_order_across_pages(self, books):
        books.log.record_many([event() for _ in range(1005)])
        assert [entry.index for entry in books.log.entries()] == list(range(1005))
        assert [entry.index for entry in books.log.entries(3, 6)] == [3, 4, 5]
        assert json.loads(books.log.entry(7).leaf)["act"] == "dataset.show"

    def test_details_open_for_the_auditor_only(self, books):
        plain, detailed = books.log.record(event()), books.log.record(event(detail={"mrn": "CANARY"}))
        assert books.log.detail(plain.index, AUDITOR) is None
        assert books.log.detail(detailed.index, AUDITOR) == {"mrn": "CANARY"}
        assert b"CANARY" not in books.path.read_bytes() + books.path.with_name("books.db-wal").read_bytes()
        with pytest.raises(IntegrityError) as caught:
            books.log.detail(detailed.index, Secret(bytes(31) + b"\x01"))
        assert caught.value.code == "seal_broken"

    def test_another_process_writes_details_the_same_auditor_opens(self, books):
        books.log.record(event(detail={"by": "first"}))
        second = books.open_again()
        index = second.record(event(detail={"by": "second"})).index
        assert [books.log.detail(i, AUDITOR) for i in (0, index)] == [{"by": "first"}, {"by": "second"}]

    def test_many_details_are_opened_at_once_a_sessions_key_once(self, books, monkeypatch):
        opened = []
        real = reader.open_session
        monkeypatch.setattr(reader, "open_session", lambda *a, **k: opened.append(1) or real(*a, **k))
        books.log.record_many([event(detail={"n": n}) for n in range(5)])
        books.log.record(event())
        books.open_again().record(event(detail={"n": 6}))
        monkeypatch.setattr(reader, "PAGE", 2)
        found = books.log.details([6, 0, 1, 2, 3, 4, 5, 99], lambda _public: AUDITOR)
        assert found == {**{n: {"n": n} for n in range(5)}, 5: None, 6: {"n": 6}}
        assert len(opened) == 2

    def test_swapped_and_missing_details_are_errors(self, books):
        books.log.record(event(detail={"a": 1}))
        books.log.record(event(detail={"a": 2}))
        tamper(
            books.path,
            "UPDATE audit_detail SET idx = 9 WHERE idx = 0",
            "UPDATE audit_detail SET idx = 0 WHERE idx = 1",
        )
        with pytest.raises(IntegrityError) as caught:
            books.log.detail(0, AUDITOR)
        assert caught.value.code == "commitment_mismatch"
        with pytest.raises(IntegrityError) as caught:
            books.log.detail(1, AUDITOR)
        assert caught.value.code == "audit_detail_missing"

    def test_a_subject_is_found_in_every_set_they_are_in(self, books):
        books.log.record(event(subjects=[token(1), token(2)]))
        books.log.record(event(subjects=[token(2)]))
        books.log.record(event())
        books.log.record(event(subjects=[token(2), token(1)]))
        assert books.log.entries_of(token(1)) == [0, 3]
        assert books.log.entries_of(token(2)) == [0, 1, 3]
        assert books.log.entries_of(token(3)) == []
        with books.database.read() as tx:
            assert tx.execute(text("SELECT count(*) FROM audit_set")).scalar() == 2

    def test_a_large_set_is_kept_whole(self, books):
        tokens = [token(i) for i in range(2504)]
        appended = books.log.record(event(subjects=tokens))
        leaf = json.loads(appended.leaf)
        digest = bytes.fromhex(leaf["subj"]["set"])
        assert leaf["subj"]["n"] == 2504
        assert books.log.subjects_of(digest) == sorted(tokens)
        assert appended.subject_set == digest

    def test_an_altered_set_is_noticed(self, books):
        digest = books.log.record(event(subjects=[token(1), token(2)])).subject_set
        tamper(books.path, "DELETE FROM audit_set_token WHERE token_id = 1")
        with pytest.raises(IntegrityError) as caught:
            books.log.subjects_of(digest)
        assert caught.value.code == "audit_set_altered"

    def test_no_such_entry(self, books):
        for call in (books.log.entry, books.log.receipt, lambda i: books.log.detail(i, AUDITOR)):
            with pytest.raises(InputError) as caught:
                call(0)
            assert caught.value.code == "no_such_entry"


def test_a_refused_access_is_logged_and_provable(books):
    books.log.record(event(Action.EXTRACT_INTENT, Outcome.REFUSED, reasons={"no_consent": 4}))
    books.log.checkpoint(SIGNER)
    leaf = json.loads(verify_receipt(books.log.receipt(0), None, ORIGIN, [VKEY]).leaf)
    assert (leaf["outcome"], leaf["reasons"]) == ("refused", {"no_consent": 4})
