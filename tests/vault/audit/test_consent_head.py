"""The consent ledger's head as the log knows it: the furthest that an entry added to, not the newest that is quoted."""

from __future__ import annotations

import json

from policies.consent import Status
from tests.support.held import FORM, Held
from vault.audit.consent_head import ADDING, consent_head, furthest_head
from vault.consent import recording
from vault.operations.erasure import process
from vault.subjects.registry import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet


def test_every_act_that_adds_is_looked_at(tmp_path):
    held = Held.make(tmp_path)
    names = [f"S{n}" for n in range(6)]
    sheet = held.write("s.csv", "\n".join(["sample_id", *names]))
    import_sheet(held.vault, read_subject_sheet(sheet, today=held.clock().date()), update=False)
    held.answer({"S0": "yes", "S1": "yes"})
    recording.record(held.vault, "S2", FORM, {"research_use": "yes"})
    recording.withdraw(held.vault, "S3")
    recording.note(held.vault, "S4", Status.CAPACITY_LOST)
    recording.restrict(held.vault, "S4")
    process.erase(held.vault, "S5")
    adding = [entry for entry in held.entries() if entry.get("consent", {}).get("added")]
    assert len(adding) == 6
    begins = {json.dumps({"act": entry["act"]}, separators=(",", ":")).encode()[: len(ADDING[0])] for entry in adding}
    assert begins == set(ADDING)
    with held.vault.books.unwatched.read() as tx:
        looked, furthest = furthest_head(tx, (0, None))
        assert furthest is not None
        assert (looked, furthest.seq) == (len(held.entries()), 7)
        assert furthest_head(tx, (looked, furthest)) == (looked, furthest)
        assert consent_head(tx).seq == 7
    held.vault.close()
