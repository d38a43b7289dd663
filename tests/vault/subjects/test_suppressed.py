"""Who asked not to come back does not, through no file and no sheet, unless somebody says that the person wants to."""

from __future__ import annotations

import json

import pytest

from tests.support import vaults
from tests.support.shell import Shell, cohort
from vault.audit.note import Note
from vault.errors import GenovaultError
from vault.operations.erasure import certificate, process
from vault.subjects import sheet_import, suppressed
from vault.subjects.identities import Identity
from vault.subjects.sheet_import import SheetOptions
from vault.subjects.subject_sheet import SubjectSheetRow


def row(*samples, mrn=""):
    return (2, SubjectSheetRow(samples=samples, mrn=mrn))


def refused(call):
    with pytest.raises(GenovaultError) as caught:
        call()
    return caught.value


def test_by_default_nothing_is_kept(s):
    issued = process.erase(s, "S03")
    assert suppressed.FIELD not in issued.content
    assert suppressed.returning(s, [Identity(("S03",))]) == []


def test_codes_are_kept_where_the_person_asks_for_it_and_the_certificate_says_so(s):
    issued = process.erase(s, "S03", suppress=True)
    assert len(issued.content[suppressed.FIELD]) == 2  # sample and record number
    assert certificate.REMAINS_SUPPRESSED in issued.content["remains"]
    assert "S03" not in issued.text
    certificate.verify(issued.text, origin=s.trail.origin, public=s.release_keys()[1])
    assert suppressed.returning(s, [Identity(("S04",)), Identity(("x", "S03")), Identity(("y",), mrn="S03")]) == [1]


def test_no_file_and_no_sheet_brings_the_person_back(s):
    process.erase(s, "S03", suppress=True)
    file = vaults.vcf("S03 T9", "22 1000 A G 0/1 0/1")
    for bring in (
        lambda: vaults.bring(s, file, "other", unknown="register"),
        lambda: vaults.bring(s, file, "cohort", append=True, unknown="register", accept=True),
    ):
        assert refused(bring).code == "reference_suppressed"
    problems = refused(lambda: sheet_import.import_sheet(s, [row("S03")])).problems
    assert "asked not to come back" in problems[0].reason
    update = SheetOptions(update=True)
    assert refused(lambda: sheet_import.import_sheet(s, [row("S04", "S03")], update)).code == "sheet_rejected"


def test_the_person_may_want_to_come_back(s):
    process.erase(s, "S03", suppress=True)
    sheet_import.import_sheet(s, [row("S03")], SheetOptions(accept_suppressed=True))
    vaults.bring(s, vaults.vcf("S03", "22 1000 A G 0/1"), "other")
    sheet_import.import_sheet(s, [row("S03", mrn="M9")], SheetOptions(update=True))  # known now: nothing is doubted again


def test_a_later_rotation_or_erasure_changes_no_code(s):
    first = process.erase(s, "S03", suppress=True)
    process.erase(s, "S04")
    assert suppressed.returning(s, [Identity(("S03",)), Identity(("S04",))]) == [0]
    assert json.loads(Note.from_text(first.text).text)[suppressed.FIELD] == first.content[suppressed.FIELD]


def test_an_umlaut_is_the_same_however_it_is_composed(s):
    sheet_import.import_sheet(s, [row("J\u00f6rg")])
    process.erase(s, "J\u00f6rg", suppress=True)
    assert suppressed.returning(s, [Identity(("Jo\u0308rg",))]) == [0]


def test_the_command_says_what_is_kept(tmp_path, monkeypatch):
    shell = Shell(tmp_path, monkeypatch)
    shell.init()
    shell.write("c.vcf", cohort().data)
    shell.run("dataset import c.vcf --name cohort --assembly GRCh38 --register")
    assert "no file registers them again" in shell.run("subject erase SAMPLE_1 --suppress --yes").out
    shell.write("one.vcf", vaults.vcf("SAMPLE_1", "22 1000 A G 0/1").data)
    ran = shell.try_("dataset import one.vcf --name again --assembly GRCh38 --register --json")
    assert (ran.code, ran.error) == (3, "reference_suppressed")
    shell.write("s.csv", "sample_id\nSAMPLE_1\n")
    assert shell.try_("subject import s.csv --json").error == "sheet_rejected"
    shell.run("subject import s.csv --accept suppressed")
