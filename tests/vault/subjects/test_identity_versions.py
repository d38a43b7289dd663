"""A reference that was recorded wrongly is taken off the person, who stays, and may name another."""

from __future__ import annotations

import pytest

from vault import gate
from vault.audit.entry import decode_leaf
from vault.errors import InputError
from vault.operations import doctor
from vault.subjects import identity_versions, registry, sheet_import
from vault.subjects.sheet_import import SheetOptions
from vault.subjects.subject_sheet import SubjectSheetRow


def handle(s, reference):
    return registry.subject_show(s, reference)[0].handle


@pytest.mark.parametrize("reference", ["S03", "sample:S03"])
def test_a_sample_names_nobody_any_more_and_the_person_stays(s, reference):
    own = handle(s, "S03")
    before = set(gate.view(s, project="demo", dataset="cohort").pseudonyms)
    assert identity_versions.retire(s, reference, reason="swapped labels").field == "samples"
    leaf = decode_leaf(list(s.trail.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["outcome"], leaf["subj"]["n"]) == ("subject.update", "done", 1)
    with pytest.raises(InputError):
        registry.subject_show(s, "S03")
    _, identity = registry.subject_show(s, own)
    assert identity.samples == ()
    assert "swapped labels" in identity.former[-1]
    assert set(gate.view(s, project="demo", dataset="cohort").pseudonyms) == before
    assert doctor.examine(s).ok


def test_it_may_name_another_then(s):
    identity_versions.retire(s, "S03", reason="x")
    sheet_import.import_sheet(s, [(2, SubjectSheetRow(samples=("S04", "S03")))], SheetOptions(update=True))
    assert handle(s, "S03") == handle(s, "S04")


def test_a_record_number(s):
    _, identity = registry.subject_show(s, "S04")
    change = identity_versions.retire(s, f"mrn:{identity.mrn}", reason="x")
    assert (change.field, change.old) == ("mrn", identity.mrn)
    assert registry.subject_show(s, "S04")[1].mrn == ""


@pytest.mark.parametrize("prefix", ["", "id:"])
def test_a_handle_is_for_good_and_a_stray_name_is_nobodys(s, prefix):
    with pytest.raises(InputError) as caught:
        identity_versions.retire(s, prefix + handle(s, "S03"), reason="x")
    assert caught.value.code == "reference_is_handle"
    with pytest.raises(InputError) as caught:
        identity_versions.retire(s, "nobody", reason="x")
    assert caught.value.code == "subject_unknown"
