"""Subject sheets: all or nothing, every colliding line named, nobody's record taken for another's."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import sql
from vault.audit.entry import decode_leaf
from vault.errors import InputError, UnavailableError
from vault.files.sheet_problems import SheetRejectedError
from vault.session import subject_keys
from vault.subjects import registry, sheet_import
from vault.subjects.identities import Identity
from vault.subjects.references import resolve


def sheet(s, text, *, update=False):
    return sheet_import.import_sheet(
        s, vaults.read_subject_sheet(text.encode(), today=vaults.TODAY), options=sheet_import.SheetOptions(update=update)
    )


def people(folder):
    return sql(folder / "books.db", "SELECT count(*) FROM subject")[0][0]


def test_a_row_becomes_a_subject_with_keys_and_an_identity(s):
    report = sheet(
        s,
        "sample_id,mrn,name,birth_date,sex,country,diagnoses,pedigree\nA;A2,M,Ärn Ö,1999-12-31,f,DE,MONDO:0000001;MONDO:0000002,F1\n",
    )
    assert (report.created, report.updated) == (1, 0)
    summary, identity = registry.subject_show(s, "A2")
    assert identity == Identity(
        samples=("A", "A2"),
        mrn="M",
        name="Ärn Ö",
        birth_date="1999-12-31",
        sex="female",
        country="DE",
        diagnoses=("MONDO:0000001", "MONDO:0000002"),
        pedigree="F1",
    )
    assert summary.handle.startswith("s-")
    assert summary.state == "active"
    keys = sql(s.folder / "keys.db", ("SELECT purpose FROM wrapped_key WHERE owner = ?", (resolve(s, "A"),)))
    assert {row[0] for row in keys} == {purpose.value for purpose in subject_keys.SUBJECT_PURPOSES}


def test_every_colliding_line_is_named_and_nothing_is_kept(folder, s):
    before = people(folder)
    with pytest.raises(SheetRejectedError) as caught:
        sheet(s, "sample_id,mrn\nnew1,n1\nS01,\nnew2,MRN0002\nS03,MRN0004\nnew3,\n")
    assert [problem.line for problem in caught.value.problems] == [3, 4, 5]
    assert "different subjects" in caught.value.problems[2].reason
    assert people(folder) == before
    for name in ("new1", "new2", "new3"):
        with pytest.raises(InputError):
            resolve(s, name)


def test_update_attaches_and_creates_in_one_go(s):
    subject = resolve(s, "S01")
    report = sheet(s, "sample_id,mrn,name\nS01;S01b,MRN0001,New Name\nfresh,,\n", update=True)
    assert (report.created, report.updated) == (1, 1)
    identity = registry.subject_show(s, "S01b")[1]
    assert identity.name == "New Name"
    assert identity.samples == ("S01", "S01b")
    assert resolve(s, "MRN0001") == resolve(s, "S01b") == subject


FULL = "sample_id,mrn,name,birth_date,sex,country,diagnoses\nA,100,Ada Quill,2012-03-04,f,DE,MONDO:0004992\n"


def shown(s, reference="sample:A"):
    return registry.subject_show(s, reference)[1]


@pytest.mark.parametrize(
    "text", ["sample_id,mrn\nA,4711\n", "sample_id,mrn,name,birth_date,sex,country,diagnoses\nA,4711,,,,,\n"]
)
def test_an_absent_column_and_an_empty_field_change_nothing(s, text):
    sheet(s, FULL)
    report = sheet(s, text, update=True)
    assert [(line, change.field, change.old, change.new) for line, change in report.changes] == [(2, "mrn", "100", "4711")]
    identity = shown(s)
    assert identity[:7] == (("A",), "4711", "Ada Quill", "2012-03-04", "female", "DE", ("MONDO:0004992",))


def test_what_is_to_be_emptied_is_asked_for_and_kept(s):
    sheet(s, FULL)
    rows = vaults.read_subject_sheet(b"sample_id,country,name\nA,,\n", today=vaults.TODAY)
    options = sheet_import.SheetOptions(update=True, clear=True, reason="moved away")
    report = sheet_import.import_sheet(s, rows, options=options)
    assert {change.field: change.new for _, change in report.changes} == {"country": "", "name": ""}
    identity = shown(s)
    assert (identity.country, identity.name, identity.birth_date, identity.mrn) == ("", "", "2012-03-04", "100")
    assert [line.split(" ", 2)[1:] for line in identity.former] == [
        ["ann", "name: Ada Quill (moved away)"],
        ["ann", "country: DE (moved away)"],
    ]


def test_a_row_that_says_what_is_held_makes_no_version(s):
    sheet(s, FULL)
    before = shown(s)
    report = sheet(s, FULL, update=True)
    assert (report.created, report.updated, report.unchanged, report.changes) == (0, 0, 1, ())
    assert shown(s) == before


def test_a_record_number_that_was_corrected_is_free_for_its_owner(s):
    sheet(s, FULL)
    sheet(s, "sample_id,mrn\nA,200\n", update=True)
    with pytest.raises(InputError) as caught:
        resolve(s, "mrn:100")
    assert caught.value.code == "subject_unknown"
    sheet(s, "sample_id,mrn,name,birth_date\nC,100,Carol Quill,1970-01-01\n")
    assert shown(s, "mrn:100").samples == ("C",)
    assert shown(s).mrn == "200"
    assert any("mrn: 100" in line for line in shown(s).former)


@pytest.mark.parametrize(
    "row",
    [
        "B,100,Carol Quill,2012-03-04",  # the record number alone, and another name
        "B,100,Ada Quill,1970-01-01",
        "A,100,Carol Other,1970-01-01",  # the sample too, and both are another's
    ],
)
@pytest.mark.parametrize("update", [False, True])
def test_a_row_of_somebody_else_is_not_attached(s, row, update):
    sheet(s, FULL)
    before = shown(s)
    with pytest.raises(SheetRejectedError) as caught:
        sheet(s, f"sample_id,mrn,name,birth_date\n{row}\n", update=update)
    assert "another" in caught.value.message
    assert "--update attaches" not in caught.value.message
    assert shown(s) == before
    rows = vaults.read_subject_sheet(f"sample_id,mrn,name,birth_date\n{row}\n".encode(), today=vaults.TODAY)
    sheet_import.import_sheet(s, rows, options=sheet_import.SheetOptions(update=True, accept_another=True))
    assert shown(s) != before


@pytest.mark.parametrize("name", ["ada  QUILL", "Quill, Ada"])
def test_a_name_is_the_same_in_other_letters(s, name):
    sheet(s, FULL)
    assert sheet(s, f'sample_id,mrn,name\nB,100,"{name}"\n', update=True).updated == 1


def test_a_married_name_comes_with_a_sample(s):
    sheet(s, FULL)
    sheet(s, "sample_id,name\nA,Ada Brook\n", update=True)
    assert shown(s).name == "Ada Brook"


def test_a_dry_run_changes_nothing_and_is_logged(s):
    sheet(s, FULL)
    before, size = shown(s), len(list(s.trail.log.entries()))
    rows = vaults.read_subject_sheet(b"sample_id,mrn\nA,4711\nZ,1\n", today=vaults.TODAY)
    report = sheet_import.import_sheet(s, rows, options=sheet_import.SheetOptions(update=True, dry_run=True))
    assert (report.created, report.updated) == (1, 1)
    acts = [decode_leaf(entry.leaf)["act"] for entry in s.trail.log.entries()][size:]
    assert acts == ["subject.show"]
    assert shown(s) == before
    with pytest.raises(InputError):
        resolve(s, "sample:Z")


def test_what_was_corrected_meanwhile_is_not_overwritten(s, monkeypatch):
    sheet(s, FULL)
    made = sheet_import.draw_subjects

    def between(vault, count):
        monkeypatch.setattr(sheet_import, "draw_subjects", made)
        sheet(s, "sample_id,country\nA,FR\n", update=True)
        return made(vault, count)

    monkeypatch.setattr(sheet_import, "draw_subjects", between)
    with pytest.raises(UnavailableError) as caught:
        sheet(s, "sample_id,country\nA,NL\n", update=True)
    assert caught.value.code == "changed_meanwhile"
    assert shown(s).country == "FR"


def test_update_refuses_what_belongs_to_two(s):
    with pytest.raises(SheetRejectedError):
        sheet(s, "sample_id,mrn\nS01,MRN0002\n", update=True)


def test_two_lines_cannot_both_update_one_subject(s):
    """Through its sample id and its MRN: the sheet alone does not show that they are one."""
    with pytest.raises(InputError):
        sheet(s, "sample_id,mrn\nS01,\nnewsample,MRN0001\n", update=True)


def test_an_empty_sheet_changes_nothing(folder, s):
    before = people(folder)
    sheet(s, "sample_id\n")
    assert people(folder) == before


def test_identities_are_sealed_apart(folder, s):
    sheet(s, "sample_id,name\nZ,Zacharias\n")
    stored = b"".join(path.read_bytes() for path in folder.glob("*.db*"))
    assert b"Zacharias" not in stored
