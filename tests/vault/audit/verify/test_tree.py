"""Logs whose database was edited: each edit is a finding at its entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.audit_log import ORIGIN, SIGNER, event, tamper
from tests.support.log_verification import KEY, check, codes, leaf_at, rebuild
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ConsentHead
from vault.audit.live_source import LogSource
from vault.audit.merkle import leaf_hash
from vault.audit.note import Checkpoint, sign_note
from vault.audit.verify import lines_of, verify

BARE = {"entry_missing", "head_mismatch"}  # of an unsigned entry with neither content nor hash


class TestEditedRows:
    @pytest.mark.parametrize("index", [0, 255, 256, 299, 300, 511, 512, 589, 599])
    def test_an_edited_leaf_is_named(self, copy, index):
        edited = leaf_at(copy, index).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ? WHERE idx = ?", (edited, index)))
        report = check(copy)
        assert report.first_bad == index
        assert "entry_altered" in codes(report)

    @pytest.mark.parametrize("index", [0, 255, 256, 511])
    def test_an_edited_leaf_with_its_hash_is_named_by_its_tile(self, copy, index):
        edited = leaf_at(copy, index).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = ?", (edited, leaf_hash(edited), index)))
        report = check(copy)
        assert codes(report) >= {"entry_altered", "root_mismatch"}
        assert report.first_bad == index

    def test_a_log_rewritten_from_an_entry_on_differs_from_what_was_signed(self, copy):
        """Leaf, hash, tiles, head: everything but the signatures, which the editor cannot make."""
        edited = leaf_at(copy, 400).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 400", (edited, leaf_hash(edited))))
        rebuild(copy)
        report = check(copy)
        assert codes(report) == {"root_mismatch"}
        assert report.first_bad == 300  # the newest checkpoint that still holds; the message gives the range
        assert "from 300 to 589" in report.findings[0].message

    def test_an_unsigned_tail_rewritten_whole_is_only_named_unsigned(self, copy):
        """A limit of any log: unsigned entries cannot be proven."""
        edited = leaf_at(copy, 595).replace(b'"ann"', b'"bob"')
        tamper(copy, ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = 595", (edited, leaf_hash(edited))))
        assert "head_mismatch" in codes(check(copy))
        rebuild(copy)
        report = check(copy)
        assert report.ok
        assert report.unsigned == (590, 599)

    @pytest.mark.parametrize("index", [0, 299, 400, 589])
    def test_a_deleted_row_is_named(self, copy, index):
        tamper(copy, ("DELETE FROM audit_leaf WHERE idx = ?", (index,)))
        report = check(copy)
        assert (report.first_bad, codes(report)) == (index, {"entry_missing"})

    def test_a_deleted_row_with_the_others_moved_up_is_named(self, copy):
        tamper(
            copy,
            "DELETE FROM audit_leaf WHERE idx = 100",
            "UPDATE audit_leaf SET idx = -idx WHERE idx > 100",
            "UPDATE audit_leaf SET idx = -idx - 1 WHERE idx < 0",
        )
        report = check(copy)
        assert report.first_bad == 100
        assert codes(report) >= {"entry_altered", "head_mismatch"}

    def test_an_inserted_row_is_named(self, copy):
        forged = leaf_at(copy, 100).replace(b'"ann"', b'"bob"')
        tamper(
            copy,
            "UPDATE audit_leaf SET idx = -idx WHERE idx >= 100",
            "UPDATE audit_leaf SET idx = -idx + 1 WHERE idx < 0",
            (
                "INSERT INTO audit_leaf (idx, event_id, leaf_hash, leaf) VALUES (100, ?, ?, ?)",
                (bytes(16), leaf_hash(forged), forged),
            ),
        )
        report = check(copy)
        assert report.first_bad == 100
        assert codes(report) >= {"entry_altered", "head_mismatch", "entry_repeated"}

    def test_an_appended_forgery_is_named(self, copy):
        forged = leaf_at(copy, 100).replace(b'"ann"', b'"bob"')
        tamper(
            copy,
            (
                "INSERT INTO audit_leaf (idx, event_id, leaf_hash, leaf) VALUES (600, ?, ?, ?)",
                (bytes(16), leaf_hash(forged), forged),
            ),
        )
        assert check(copy).first_bad == 600

    def test_swapped_rows_are_named(self, copy):
        tamper(
            copy,
            "UPDATE audit_leaf SET idx = -1 WHERE idx = 50",
            "UPDATE audit_leaf SET idx = 50 WHERE idx = 60",
            "UPDATE audit_leaf SET idx = 60 WHERE idx = -1",
        )
        report = check(copy)
        assert report.first_bad == 50

    @pytest.mark.parametrize("kept", [0, 1, 256, 300, 589])
    def test_truncation_is_named(self, copy, kept):
        tamper(copy, ("DELETE FROM audit_leaf WHERE idx >= ?", (kept,)))
        report = check(copy)
        assert (report.first_bad, "truncated" in codes(report)) == (kept, True)

    def test_truncation_with_its_checkpoints_needs_an_outside_anchor(self, copy):
        """Not detectable without a checkpoint kept elsewhere, such as an anchor."""
        tamper(copy, "DELETE FROM audit_leaf WHERE idx >= 300", "DELETE FROM audit_checkpoint WHERE size > 300")
        rebuild(copy)
        assert check(copy).ok

    def test_truncation_to_an_old_head_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_leaf WHERE idx >= 300")
        rebuild(copy)
        assert check(copy).first_bad == 300

    def test_a_missing_detail_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_detail WHERE idx = 7")
        report = check(copy)
        assert (report.first_bad, codes(report)) == (7, {"detail_missing"})

    def test_a_foreign_detail_is_named(self, copy):
        tamper(copy, "UPDATE audit_detail SET idx = 550 WHERE idx = 7")
        assert codes(check(copy)) == {"detail_missing", "detail_foreign"}

    def test_a_missing_and_an_edited_tile_are_named(self, copy):
        tamper(copy, "DELETE FROM audit_tile WHERE level = 0 AND n = 0")
        assert codes(check(copy)) == {"tile_missing"}
        tamper(copy, ("UPDATE audit_tile SET data = ? WHERE n = 1", (bytes(8192),)))
        assert codes(check(copy)) == {"tile_missing", "entry_altered"}

    @pytest.mark.parametrize(
        ("statement", "first_bad", "found"),
        [
            ("UPDATE audit_leaf SET leaf = CAST(leaf AS TEXT) WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = 12 WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = '' WHERE idx = 7", 7, {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf_hash = 'none' WHERE idx = 7", 7, {"entry_altered"}),
            ("UPDATE audit_leaf SET leaf_hash = substr(hex(leaf_hash), 1, 32) WHERE idx = 7", 7, {"entry_altered"}),
            ("UPDATE audit_leaf SET leaf = 'x', leaf_hash = 'y' WHERE idx = 597", 597, BARE | {"entry_malformed"}),
            ("UPDATE audit_leaf SET leaf = NULL, leaf_hash = 'y' WHERE idx = 597", 597, BARE),
            ("UPDATE audit_tile SET data = CAST(hex(data) AS TEXT) WHERE level = 0 AND n = 0", None, {"tile_missing"}),
            ("UPDATE audit_head SET stack = CAST(hex(stack) AS TEXT)", 590, {"head_mismatch"}),
            ("UPDATE audit_head SET size = 'many'", 0, {"head_mismatch"}),
            ("UPDATE audit_checkpoint SET note = x'00' WHERE size = 300", None, {"checkpoint_malformed"}),
        ],
    )
    def test_values_of_another_type_are_findings(self, copy, statement, first_bad, found):
        """SQLite stores values of any type in a column."""
        tamper(copy, statement)
        report = check(copy)
        assert (report.first_bad, codes(report)) == (first_bad, found)

    def test_a_fork_signed_by_the_log_itself_is_named(self, copy):
        """The same size signed twice with different roots cannot be stored; a later size that does not extend is caught."""
        fork = sign_note(Checkpoint(ORIGIN, 595, bytes(32)).to_text(), ORIGIN, SIGNER)
        tamper(
            copy, ("INSERT INTO audit_checkpoint (base, size, root, note, created) VALUES (0, 595, ?, ?, 0)", (bytes(32), fork))
        )
        report = check(copy)
        assert (report.first_bad, codes(report)) == (590, {"root_mismatch"})

    def test_a_lost_head_is_named(self, copy):
        tamper(copy, "DELETE FROM audit_head")
        assert codes(check(copy)) == {"head_mismatch"}

    def test_dropped_payloads_still_verify(self, copy):
        tamper(copy, "UPDATE audit_leaf SET leaf = NULL WHERE idx < 100")
        report = check(copy)
        assert report.ok
        assert report.redacted == 100

    def test_a_log_without_checkpoints_is_unsigned(self, copy):
        tamper(copy, "DELETE FROM audit_checkpoint")
        report = check(copy)
        assert codes(report) == {"unsigned"}
        assert report.unsigned == (0, 599)


class TestMeaning:
    def test_an_intent_without_an_outcome_is_reported(self, books):
        first = books.log.record(event(Action.EXTRACT_INTENT, Outcome.INTENT))
        books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
        books.log.record(event(Action.EXTRACT_OUTCOME, Outcome.DONE, refers=first.event_id))
        books.log.checkpoint(SIGNER)
        report = verify(LogSource(books.log, KEY), KEY)
        assert report.ok
        assert report.open_intents == (1,)
        assert any("assume fully disclosed" in line for line in lines_of(report))

    @pytest.mark.parametrize("entries", [4, 300])  # in one chunk, and over its edge
    def test_times_that_go_back_are_reported_once_for_each_step(self, books, entries):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        clocks = [now] * entries
        clocks[entries - 2] = now - timedelta(hours=1)
        clocks[entries - 1] = now - timedelta(hours=1, seconds=30)
        clocks[0] = now - timedelta(seconds=59)
        for clock in clocks:
            books.log._clock = lambda at=clock: at
            books.log.record(event(Action.AUDIT_READ))
        books.log.checkpoint(SIGNER)
        report = verify(LogSource(books.log, KEY), KEY)
        assert report.ok
        assert [index for index, *_ in report.steps_back] == [entries - 2]
        assert report.steps_back[0][1:] == ("2025-12-31T23:00:00.000000Z", "2026-01-01T00:00:00.000000Z")
        assert any("a clock was behind" in line for line in lines_of(report))

    def test_an_outcome_of_nothing_is_a_finding(self, books):
        books.log.record(event(Action.EXTRACT_OUTCOME, Outcome.DONE, refers="019b7ca9-8c88-7000-8000-000000000000"))
        books.log.checkpoint(SIGNER)
        assert codes(verify(LogSource(books.log, KEY), KEY)) == {"intent_missing"}

    @pytest.mark.parametrize(
        ("heads", "expected"),
        [
            ([(2, 1, 2), (3, 2, 1), (3, 2, 0)], set()),
            ([(2, 1, 2), (4, 2, 1)], {"consent_gap"}),
            ([(2, 1, 2), (3, 2, 0)], {"consent_gap"}),
            ([(2, 1, 2), (2, 9, 0)], {"consent_fork"}),
            ([(2, 1, 2), (2, 1, 2)], {"consent_gap"}),
            ([(0, 0, 0), (1, 1, 1), (0, 0, 0)], set()),
        ],
    )
    def test_the_consent_ledger_is_followed(self, books, heads, expected):
        for seq, head, added in heads:
            books.log.record(event(Action.CONSENT_RECORD, consent=ConsentHead(seq, bytes([head]) * 32, added=added)))
        books.log.checkpoint(SIGNER)
        assert codes(verify(LogSource(books.log, KEY), KEY)) == expected
