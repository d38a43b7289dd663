"""How people name a subject."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support import vaults
from tests.support.vaults import opened, sql
from tests.support.vcf_text import vcf
from vault.errors import InputError
from vault.files.sheet_problems import SheetRejectedError
from vault.subjects import sheet_import
from vault.subjects.identities import Identity
from vault.subjects.references import ReferenceIndex, registered_by, resolve, resolve_many
from vault.subjects.registration import draw_subjects, registering


def sheet(s, text, **options):
    rows = vaults.read_subject_sheet(text.encode(), today=vaults.TODAY)
    return sheet_import.import_sheet(s, rows, options=sheet_import.SheetOptions(update=options.get("update", False)))


def test_a_subject_is_found_by_sample_mrn_and_handle(s):
    subject = resolve(s, "S03")
    handle = ReferenceIndex(s).handle(subject)
    assert {resolve(s, ref) for ref in ("sample:S03", "MRN0003", "mrn:MRN0003", handle, f"id:{handle}")} == {subject}


@pytest.mark.parametrize(
    "reference", ["", "nobody", "mrn:S03", "sample:MRN0003", "id:S03", "s03", " S03", "other:S03", "S03:", "\0"]
)
def test_an_unknown_reference_is_one_error_that_does_not_repeat_it(s, reference):
    with pytest.raises(InputError) as caught:
        resolve(s, reference)
    assert caught.value.code == "subject_unknown"
    assert reference.strip("\0 :") == "" or reference not in str(caught.value)


def test_an_ambiguous_reference_is_settled_by_its_kind(s):
    sheet(s, "sample_id,mrn\nX,same\nsame,Y\n")
    with pytest.raises(InputError) as caught:
        resolve(s, "same")
    assert caught.value.code == "subject_ambiguous"
    assert resolve(s, "mrn:same") == resolve(s, "X")
    assert resolve(s, "sample:same") == resolve(s, "Y")


def test_a_reference_with_a_colon_of_its_own(s):
    sheet(s, "sample_id,mrn\na:b,mrn:7\n")
    assert resolve(s, "a:b") == resolve(s, "mrn:mrn:7")


def test_many_at_once(s):
    found = resolve_many(s, ["S01", "nobody", "MRN0001"])
    assert found["nobody"] == frozenset()
    assert found["S01"] == found["MRN0001"]
    assert len(resolve_many(s, [f"x{n}" for n in range(25_000)])) == 25_000


def test_who_registered_a_name(s):
    vaults.bring(s, vaults.vcf("S01 N1", "22 5 A G 0|1 0|0"), "new", unknown="register")
    found = registered_by(s, ["S01", "N1", "nobody"])
    assert found["S01"][1] is None
    assert found["N1"][1] is not None
    assert "nobody" not in found


def test_the_index_says_nothing_without_its_key(folder):
    with opened(folder) as s:
        index = ReferenceIndex(s)
        digests = {index.digest(kind, "S01", index.version) for kind in ("sample", "mrn", "id")}
    assert len(digests) == 3
    stored = {bytes(row[0]) for row in sql(folder / "books.db", "SELECT digest FROM reference")}
    assert len(stored & digests) == 1
    import hashlib  # noqa: PLC0415 - what a thief would try

    assert hashlib.sha256(b"S01").digest() not in stored


def test_two_vaults_know_nobody_in_common(folder, tmp_path):
    vaults.make(tmp_path / "w", whole=False)
    mine, theirs = (set(sql(p / "books.db", "SELECT digest FROM reference")) for p in (folder, tmp_path / "w"))
    assert not mine & theirs


COMPOSED, DECOMPOSED = "J\u00f6rg", "Jo\u0308rg"


@pytest.mark.parametrize(("written", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_is_found_however_its_marks_are_composed(s, written, typed):
    drawn = draw_subjects(s, 1)
    with registering(s, drawn, [Identity((written,))]) as new, new.transaction() as tx:  # as a VCF writes it
        new.add(tx)
    assert resolve(s, typed) == resolve(s, written) == drawn.subjects[0]
    assert set(registered_by(s, [typed])) == {typed}
    with pytest.raises(SheetRejectedError):
        sheet(s, f"sample_id\n{typed}\n")


def test_names_that_look_alike_are_one_name_of_a_sheet(s):
    with pytest.raises(SheetRejectedError) as caught:
        sheet(s, f"sample_id\n{COMPOSED}\n{DECOMPOSED}\n")
    assert "already on line 2" in caught.value.message


def test_samples_that_look_alike_are_not_two_people(s):
    before, _, after = vcf("X Y", "22 100 A G 0|1 0|0").data.partition(b"\tX\tY")
    file = SimpleNamespace(data=before + f"\t{COMPOSED}\t{DECOMPOSED}".encode() + after)
    with pytest.raises(InputError) as caught:
        vaults.bring(s, file, "new", unknown="register")
    assert caught.value.code == "duplicate_sample"
