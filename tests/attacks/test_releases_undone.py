"""What the log says was done stays done, whatever somebody writes into the book of releases."""

from __future__ import annotations

import shutil

import pytest

from tests.support.vaults import ask, opened, sql, verified
from vault import gate
from vault.access import accounting, releases
from vault.access.release_holders import releases_with
from vault.audit.reports.records import records
from vault.consent import recording
from vault.operations.erasure import process
from vault.subjects.references import resolve

EDITS = {
    "committed again": "UPDATE release SET state = 'committed'",
    "in the making again": "UPDATE release SET state = 'staging'",
    "aborted": "UPDATE release SET state = 'aborted'",
    "taken out": "DELETE FROM release",
}


@pytest.mark.parametrize("gone", [False, True], ids=["folder there", "folder taken away"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_release_cannot_be_made_to_look_undone(small, tmp_path, edit, gone):
    with opened(small) as s:
        gate.extract(s, ask(s), tmp_path / "out")
        released = releases.list_all(s)[0].release_id
        recording.withdraw(s, "S03")
    if gone:
        shutil.rmtree(tmp_path / "out")
    sql(small / "books.db", EDITS[edit])
    with opened(small) as s:
        subject = resolve(s, "S03")
        assert [found["release"] for found in releases_with(s, subject)] == [released]
        assert [found.ended for found in accounting.account_for(s, "S03").disclosures if found.release == released] == ["done"]
        if not gone and edit == "committed again":
            assert [row.state for row in releases.list_all(s)] == ["released"]
            assert not [record for record in records(s.trail.log) if record.outcome == "aborted"]
        certificate = process.erase(s, "S03")
        assert [found["release"] for found in certificate.content["releases"]] == [released]
        assert verified(s).ok
    assert (tmp_path / "out").exists() != gone
