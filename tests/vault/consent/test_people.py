"""People listed and found as stewards know them."""

from __future__ import annotations

import pytest

from policies.consent import Status
from tests.support.consent_work import START
from vault.audit.entry import decode_leaf
from vault.consent import people, recording
from vault.errors import InputError
from vault.operations.erasure import process
from vault.subjects.sheet_import import SheetOptions, import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

SHEET = """sample_id,mrn,name,birth_date
SAMPLE_3,M-3,Jürgen Müller,1961-05-02
SAMPLE_4,M-30,Ada King,1975-12-10
SAMPLE_5,M-5,Ada Müller,1980-01-31
"""


@pytest.fixture
def named(held):
    rows = read_subject_sheet(SHEET.encode(), today=START.date())
    import_sheet(held.vault, rows, SheetOptions(update=True))
    return held


def found(held, text):
    return sorted(one.identity.samples[0] for one in people.find(held.vault, text))


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("müller", ["SAMPLE_3", "SAMPLE_5"]),
        ("Mu\u0308ller  ada", ["SAMPLE_5"]),
        ("1961-05-02", ["SAMPLE_3"]),
        ("2.5.1961", ["SAMPLE_3"]),
        ("m-3", ["SAMPLE_3", "SAMPLE_4"]),
        ("M-30", ["SAMPLE_4"]),
        ("sample_12", ["SAMPLE_12"]),
        ("nobody", []),
    ],
)
def test_people_are_found_by_name_birth_date_or_what_a_reference_begins_with(named, text, samples):
    assert found(named, text) == samples
    (leaf,) = [decode_leaf(entry.leaf) for entry in named.vault.trail.log.entries()][-1:]
    assert (leaf["act"], leaf["outcome"]) == ("subject.find", "done")
    assert text.encode() not in b"".join(entry.leaf for entry in named.vault.trail.log.entries())


def test_one_character_finds_whose_whole_number_it_is(named):
    rows = read_subject_sheet(b"sample_id,mrn\nSAMPLE_3,7\nSAMPLE_4,71\n", today=START.date())
    import_sheet(named.vault, rows, SheetOptions(update=True))
    assert found(named, "7") == ["SAMPLE_3"]
    assert found(named, "M") == []


def test_a_replaced_record_number_still_finds_its_person(named):
    rows = read_subject_sheet(b"sample_id,mrn\nSAMPLE_3,N-9\n", today=START.date())
    import_sheet(named.vault, rows, SheetOptions(update=True))
    assert found(named, "N-9") == ["SAMPLE_3"]
    assert found(named, "M-3") == ["SAMPLE_3", "SAMPLE_4"]


def test_what_is_too_short_or_fits_too_many_is_refused(named, monkeypatch):
    with pytest.raises(InputError) as caught:
        people.find(named.vault, "  ")
    assert caught.value.code == "too_short"
    monkeypatch.setattr(people, "MOST", 1)
    with pytest.raises(InputError) as caught:
        people.find(named.vault, "M-3")
    assert caught.value.code == "too_many"


def test_the_list_says_what_consent_makes_of_everybody(held):
    held.everyone_consents()
    recording.withdraw(held.vault, "SAMPLE_3")
    recording.note(held.vault, "SAMPLE_4", Status.DECEASED)
    recording.restrict(held.vault, "SAMPLE_5")
    recording.withdraw(held.vault, "SAMPLE_6")
    recording.note(held.vault, "SAMPLE_6", Status.DECEASED)
    recording.withdraw(held.vault, "SAMPLE_7", scope="policy:recontact")
    process.erase(held.vault, "SAMPLE_8")
    listed = {",".join(one.identity.samples): one.status for one in people.listed(held.vault)}
    assert listed.pop("") == "erased"
    assert {name: status for name, status in listed.items() if status != "active"} == {
        "SAMPLE_3": "withdrawn",
        "SAMPLE_4": "died",
        "SAMPLE_5": "restricted",
        "SAMPLE_6": "died, withdrawn",
    }


def test_nobody_asked_is_told_from_nothing_allowed(held):
    assert {one.status for one in people.listed(held.vault)} == {"not asked"}
    recording.record(held.vault, "SAMPLE_3", "broad-research", {"research_use": "no"})
    assert people.find(held.vault, "SAMPLE_3")[0].status == "nothing allowed"
