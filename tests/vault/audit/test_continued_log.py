"""A log that continues another: leaf 0 carries over what the other left open."""

from __future__ import annotations

import pytest

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event
from tests.support.log_verification import KEY
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ConsentHead, ObjectRef
from vault.audit.export import export_tiles
from vault.audit.live_source import LogSource
from vault.audit.note import ED25519, VerifierKey
from vault.audit.receipt import verify_receipt
from vault.audit.verify import verify, verify_folder
from vault.errors import InputError


class TestContinuedLog:
    def test_it_holds_and_its_past_is_not_asked_for(self, books):
        books.log.record(event(consent=ConsentHead(5, bytes(32), 5)))
        intent = books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
        note = books.log.checkpoint(SIGNER)
        first = event(Action.LOG_CONTINUE, obj=ObjectRef("log", ORIGIN), previous=note, consent=ConsentHead(5, bytes(32)))
        with books.database.write() as tx:
            books.log.continue_as(tx, f"{ORIGIN}2", first)
        books.log.record(event(Action.VIEW_OUTCOME, Outcome.ABORTED, refers=intent.event_id))
        books.log.record(event(consent=ConsentHead(6, b"\x01" * 32, 1)))
        books.log.checkpoint(SIGNER)
        newer = VerifierKey(f"{ORIGIN}2", ED25519, SIGNER.public).to_text()
        old, new = books.log.parts()
        assert (old.base, old.size, new.base, new.size) == (0, 2, 2, 3)
        reports = verify(LogSource(books.log, newer), newer), verify(LogSource(books.log, KEY, part=old), KEY)
        assert [report.findings for report in reports] == [(), ()]
        assert reports[1].open_intents == (1,)
        assert [entry.index for entry in books.log.closings([intent.event_id])[intent.event_id]] == [3]
        assert verify_receipt(books.log.receipt(4), None, f"{ORIGIN}2", [VerifierKey.from_text(newer)]).index == 2
        assert verify_receipt(books.log.receipt(1), None, ORIGIN, [VKEY]).index == 1

    def test_the_same_origin_is_never_used_twice(self, books):
        with pytest.raises(InputError) as caught, books.database.write() as tx:
            books.log.continue_as(tx, ORIGIN, event())
        assert caught.value.code == "origin_taken"

    def test_a_log_of_more_than_a_tile_continues(self, books, tmp_path):
        books.log.record_many([event() for _ in range(300)])
        books.log.checkpoint(SIGNER)
        with books.database.write() as tx:
            books.log.continue_as(tx, f"{ORIGIN}2", event(Action.LOG_CONTINUE))
        books.log.record_many([event() for _ in range(600)])
        books.log.checkpoint(SIGNER)
        newer = VerifierKey(f"{ORIGIN}2", ED25519, SIGNER.public).to_text()
        for part, key, size in zip(books.log.parts(), (KEY, newer), (300, 601), strict=True):
            assert export_tiles(books.log, tmp_path / str(size), vkey=key, part=part).size == size
            assert verify_folder(tmp_path / str(size), key).ok
        assert verify(LogSource(books.log, newer), newer).ok
