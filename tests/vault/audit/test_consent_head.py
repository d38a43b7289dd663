"""The consent ledger's head as the log knows it: every one that an entry added to, not the newest that is quoted."""

from __future__ import annotations

import json

from policies.consent import Status
from tests.support.held import FORM, Held
from vault.audit.consent_head import ADDING, added_heads, consent_head
from vault.consent import recording
from vault.operations.erasure import process
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet


def test_every_act_that_adds_is_looked_at(tmp_path):
    held = Held.make(tmp_path)
    names = [f"S{n}" for n in range(6)]
    sheet = held.write("s.csv", "\n".join(["sample_id", *names]))
    import_sheet(held.vault, read_subject_sheet(sheet, today=held.clock().date()))
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
        looked, heads = added_heads(tx, 0)
        assert (looked, [head.seq for head in heads]) == (len(held.entries()), [2, 3, 4, 5, 6, 7])
        assert added_heads(tx, looked) == (looked, heads)  # the last page again
        assert consent_head(tx).seq == 7
    held.vault.close()
