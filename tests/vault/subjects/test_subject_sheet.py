from __future__ import annotations

from datetime import date

import pytest

from vault.files.sheet_problems import SheetRejectedError
from vault.subjects.countries import COUNTRIES
from vault.subjects.subject_sheet import SubjectSheetRow, read_subject_sheet

TODAY = date(2026, 3, 1)
HEADER = "sample_id,mrn,name,birth_date,sex,country,diagnoses,pedigree\n"


def read(*rows: str):
    return read_subject_sheet((HEADER + "\n".join(rows) + "\n").encode(), today=TODAY)


def problems(*rows: str) -> list[tuple[int, str, str]]:
    with pytest.raises(SheetRejectedError) as caught:
        read(*rows)
    return [(problem.line, problem.column, problem.reason) for problem in caught.value.problems]


def test_a_full_row():
    ((line, row),) = read('S1; S1b,M-1,"Curie, Marie",1867-11-07,F,FR,MONDO:0007254;MONDO:0005148,fam1')
    assert line == 2
    assert row == SubjectSheetRow(
        samples=("S1", "S1b"),
        mrn="M-1",
        name="Curie, Marie",
        birth_date=date(1867, 11, 7),
        sex="female",
        country="FR",
        diagnoses=("MONDO:0007254", "MONDO:0005148"),
        pedigree="fam1",
    )


def test_a_sample_id_is_enough():
    rows = read_subject_sheet(b"sample_id\nS1\nS2\n", today=TODAY)
    assert rows == ((2, SubjectSheetRow(samples=("S1",))), (3, SubjectSheetRow(samples=("S2",))))


def test_an_identity_has_no_repr():
    assert "Curie" not in repr(read("S1,,Curie,,,,,"))


@pytest.mark.parametrize(
    ("birth", "reason"),
    [
        ("2026-03-02", "is in the future"),
        ("2025-02-29", "is not a day of the calendar"),
        ("0000-01-01", "is not a day of the calendar"),
        ("1799-12-31", "is before 1800"),
        ("01/02/1990", "is not a date YYYY-MM-DD or DD.MM.YYYY"),
        ("19900102", "is not a date YYYY-MM-DD or DD.MM.YYYY"),
        ("1990-W01-2", "is not a date YYYY-MM-DD or DD.MM.YYYY"),
        ("1990-01-02T00:00", "is not a date YYYY-MM-DD or DD.MM.YYYY"),
        ("\u0661990-01-02", "is not a date YYYY-MM-DD or DD.MM.YYYY"),
    ],
)
def test_a_birth_date_is_a_real_past_day(birth, reason):
    assert problems(f"S1,,,{birth},,,,") == [(2, "birth_date", reason)]


def test_today_and_a_leap_day_are_fine():
    assert [row.birth_date for _, row in read("S1,,,2026-03-01,,,,", "S2,,,2024-02-29,,,,")] == [TODAY, date(2024, 2, 29)]


@pytest.mark.parametrize(("written", "meant"), [("F", "female"), ("male", "male"), ("Other", "other"), ("u", "unknown")])
def test_sex_is_one_of_four(written, meant):
    ((_, row),) = read(f"S1,,,,{written},,,")
    assert row.sex == meant


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("S1,,,,X,,,", "sex"),
        ("S1,,,,,UK,,", "country"),
        ("S1,,,,,gb,,", "country"),
        ("S1,,,,,,MONDO:123,", "diagnoses"),
        ("S1,,,,,,mondo:0007254,", "diagnoses"),
        ("S1,,,,,,MONDO:0007254;,", "diagnoses"),
        ("S1,,,,,,MONDO:0007254;MONDO:0007254,", "diagnoses"),
        ("S1;S1,,,,,,,", "sample_id"),
        ("S1;;S2,,,,,,,", "sample_id"),
        (";,,,,,,,", "sample_id"),
        (",M1,,,,,,", "sample_id"),
        ('"S\t1",,,,,,,', "sample_id"),
    ],
)
def test_what_is_no_such_thing_is_refused(row, column):
    assert [(line, name) for line, name, _ in problems(row)] == [(2, column)]


def test_samples_and_record_numbers_occur_once_in_a_sheet():
    assert problems("S1;S2,M1,,,,,,", "S3,M2,,,,,,", "S4;S2,M1,,,,,,") == [
        (4, "sample_id", "is already on line 2"),
        (4, "mrn", "is already on line 2"),
    ]


def test_the_country_list_is_whole():
    assert len(COUNTRIES) == 249
    assert {"DE", "GB", "US", "IS"} < COUNTRIES
    assert COUNTRIES.isdisjoint({"UK", "EU", "XX"})


def test_a_day_may_be_written_with_dots():
    assert [row.birth_date for _, row in read("S1,,,3.2.1990,,,,", "S2,,,29.02.2024,,,,")] == [
        date(1990, 2, 3),
        date(2024, 2, 29),
    ]
    assert problems("S1,,,31.02.1990,,,,") == [(2, "birth_date", "is not a day of the calendar")]


@pytest.mark.parametrize(("word", "sex"), [("w", "female"), ("M", "male"), ("Männlich", "male"), ("divers", "other")])
def test_a_sex_may_be_said_in_german(word, sex):
    assert read(f"S1,,,,{word},,,")[0][1].sex == sex
