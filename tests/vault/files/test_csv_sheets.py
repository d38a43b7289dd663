from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import InputError
from vault.files import column_maps
from vault.files.column_maps import ColumnMap
from vault.files.csv_sheets import BadField, Column, guard, read_sheet, text, write_sheet
from vault.files.sheet_problems import Problem, SheetRejectedError, rejected
from vault.limits import MAX_SHEET_BYTES


def number(value: str) -> int:
    if not value.isdecimal():
        raise BadField("is not a number")
    return int(value)


KEY = Column("key", text, required=True, keys=lambda value: (value,))
COUNT = Column("count", number)
NOTE = Column("note", text, max_chars=20)
COLUMNS = (KEY, COUNT, NOTE)


def read(data: bytes):
    return read_sheet(data, columns=COLUMNS)


def problems(data: bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(SheetRejectedError) as caught:
        read(data)
    assert caught.value.code == "sheet_rejected"
    return [(problem.line, problem.column, problem.reason) for problem in caught.value.problems]


def outcome(data: bytes) -> str:
    try:
        read(data)
    except InputError as error:
        return error.code
    return "read"


def test_fields_are_typed_and_empty_ones_absent():
    sheet = read(b"key,count,note\na,3,\nb,,hello\n")
    first, second = sheet.rows
    assert (first[KEY], first.get(COUNT), first.get(NOTE)) == ("a", 3, None)
    assert (second[KEY], second.get(COUNT), second.get(NOTE)) == ("b", None, "hello")


def test_columns_come_in_any_order_and_optional_ones_may_lack():
    sheet = read(b"note,key\nx,a\n")
    assert sheet.columns == ("note", "key")
    assert sheet.rows[0].get(COUNT) is None


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n\n", b"\n,,\n , ,\n"])
def test_byte_order_mark_line_endings_and_blank_lines_at_the_end_do_not_matter(mark, end, tail):
    data = mark + (b"key,count,note\na,1,x\nb,2,y" + tail).replace(b"\n", end)
    assert [(row.line, row[KEY], row.get(COUNT)) for row in read(data).rows] == [(2, "a", 1), (3, "b", 2)]


def test_line_numbers_are_those_of_the_file_when_fields_hold_line_breaks():
    wide = Column("note", str)
    sheet = read_sheet(b'key,note\na,"one\ntwo\nthree"\nb,x\n', columns=(KEY, wide))
    assert [(row.line, row.get(wide)) for row in sheet.rows] == [(2, "one\ntwo\nthree"), (5, "x")]


def test_every_problem_is_named_with_its_line_and_column():
    data = b'key,count,note\na,one,x\n,2,x\nb,3\nc,4,x,y\na,5,"l1\nl2"\nd,6,' + b"x" * 21 + b"\n"
    assert problems(data) == [
        (2, "count", "is not a number"),
        (3, "key", "is empty"),
        (4, "", "2 fields where the header has 3"),
        (5, "", "4 fields where the header has 3"),
        (6, "key", "is already on line 2"),
        (6, "note", "holds a line break"),
        (8, "note", "is longer than 20 characters"),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"key,colour", (1, "", "column 2 is not one of this sheet's; columns: key, count, note")),
        (b"key,count,key", (1, "key", "this column is there twice")),
        (b"count", (1, "key", "this column is missing")),
        (b"Key,key", (1, "", "column 1 is not one of this sheet's; columns: key, count, note")),
        (b"key,,note", (1, "", "column 2 is not one of this sheet's; columns: key, count, note")),
    ],
)
def test_a_wrong_header_is_refused_before_any_row(header, expected):
    assert problems(header + b"\na,1\n") == [expected]


def test_unknown_columns_are_one_problem():
    missing = (1, "key", "this column is missing")
    assert problems(b"a,key,b,note,c\n") == [(1, "", "3 columns (1, 3, 5) are not of this sheet's; columns: key, count, note")]
    assert problems(b"a;b\n") == [(1, "", "2 columns (1, 2) are not of this sheet's; columns: key, count, note"), missing]
    assert problems(b"caf\xe9,b\n") == [(1, "column 1", "is not UTF-8; save the file as CSV UTF-8")]


@pytest.mark.parametrize(
    ("mapped", "words"),
    [
        ({"Probe": "kye"}, "is key meant?"),
        ({"Zahl": None, "Probe": ""}, "columns: key, count, note"),
        ({"Probe": 7}, "neither"),
        ({"*": None, "Probe": ["key"]}, "mapping 1 "),
    ],
)
def test_a_wrong_map_is_a_fault_of_the_map(mapped, words):
    with pytest.raises(InputError) as caught:
        read_sheet(b"Probe\na\n", columns=COLUMNS, renames=column_maps.parse(mapped, name="map.yaml"))
    assert caught.value.code == "document_rejected"
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert "map.yaml" in caught.value.message


def test_a_map_may_hold_lines_for_other_sheets():
    renames = column_maps.parse({"Probe": "key", "consent_v3": "research_use"}, name="map.yaml")
    assert read_sheet(b"Probe\na\n", columns=COLUMNS, renames=renames).columns == ("key",)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"a,1,x\x00y", (2, "note", "holds a control character")),
        (b"a,1,x\x1b[31my", (2, "note", "holds a control character")),
        (b"a,1,caf\xe9", (2, "note", "is not UTF-8; save the file as CSV UTF-8")),
        (b'a,1,"x"y', (2, "", "text after a closing quote")),
        (b'a,1,"x', (2, "", "a quote is not closed")),
        (b"\nb,1,x", (2, "", "blank line between rows")),
        (b"a,1,'=cmd\n=", (3, "", "1 fields where the header has 3")),
    ],
)
def test_a_malformed_row_is_named(row, expected):
    assert problems(b"key,count,note\n" + row + b"\n") == [expected]


def test_bad_rows_do_not_hide_later_ones():
    data = b'key,count,note\na,1,"x"y\nb,2,caf\xe9\nc,3,\x07\nd,four,\n'
    assert [line for line, _, _ in problems(data)] == [2, 3, 4, 5]


def test_an_over_long_quoted_field_ends_the_reading():
    data = b'key,count,note\na,1,"' + b"x" * 200_000
    assert problems(data) == [(2, "", "a quote is not closed, or a field is far too long")]


TABLE = [["key", "count", "note"], ["a", "3", "x, y; z"], ["b", "", "ö"]]


def spreadsheet(separator, *, before="", empty=0):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\r\n").writerows([[*row, *[""] * empty] for row in TABLE])
    return before + out.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("empty", [0, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_the_same_however_a_spreadsheet_wrote_it(separator, said, empty, encoding):
    notes = []
    data = spreadsheet(separator, before=f"sep={separator}\r\n" if said else "", empty=empty).encode(encoding)
    sheet = read_sheet(data, columns=COLUMNS, told=notes.append)
    assert [(row.line - said, row[KEY], row.get(COUNT), row.get(NOTE)) for row in sheet.rows] == [
        (2, "a", 3, "x, y; z"),
        (3, "b", None, "ö"),
    ]
    words = " ".join(notes)
    assert ("separated by" in words) == (separator != ",")
    assert ("sep=" in words) == said
    assert ("2 empty columns" in words) == bool(empty)
    assert ("UTF-16" in words) == (encoding == "utf-16")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ending_goes_with_any_separator(end):
    data = end.join(["sep=;", "key;count", "a;1", ""]).encode()
    assert [(row.line, row[KEY], row.get(COUNT)) for row in read(data).rows] == [(3, "a", 1)]


def test_a_value_under_no_name_is_not_passed_over():
    assert problems(b"key,count,,\na,1,,\nb,2,x,\n") == [(3, "column 3", "holds something under no name")]


def test_broken_utf16_is_named():
    assert problems("key,note\na,x".encode("utf-16") + b"\x00") == [(2, "note", "is not UTF-8; save the file as CSV UTF-8")]


def test_columns_are_called_what_the_sheet_calls_them():
    data = b"Probe;Anzahl;Station\na;3;7B\n"
    sheet = read_sheet(data, columns=COLUMNS, renames=ColumnMap({"Probe": "key", "Anzahl": "count", "Station": None}))
    assert sheet.columns == ("key", "count")
    assert (sheet.rows[0][KEY], sheet.rows[0].get(COUNT)) == ("a", 3)
    with pytest.raises(SheetRejectedError) as caught:
        read_sheet(data, columns=COLUMNS, renames=ColumnMap({"Probe": "key", "Anzahl": "key"}))
    assert {problem.reason for problem in caught.value.problems} >= {"this column is there twice"}


def test_no_message_repeats_what_the_sheet_holds():
    canary = "Zaphod Beeblebrox"
    documents = [
        f"{canary},count\na,1\n",
        f"key,count\na,{canary}\n",
        f"key,count\n{canary},1\n{canary},2\n",
        f"key,note\na,{canary}{canary}\n",
        f'key,count\n"{canary}"x,1\n',
    ]
    for document in documents:
        with pytest.raises(SheetRejectedError) as caught:
            read(document.encode())
        seen = f"{caught.value} {caught.value!r} {caught.value.problems!r}"
        assert "Zaphod" not in seen


def test_a_row_shows_no_value_in_its_repr():
    assert "Zaphod" not in repr(read(b"key\nZaphod\n").rows)


def test_the_message_summarises_and_counts():
    rows = "".join(f"k{i},x\n" for i in range(1000))
    with pytest.raises(SheetRejectedError) as caught:
        read_sheet(f"key,count\n{rows}".encode(), columns=COLUMNS, name="a.csv")
    assert len(caught.value.problems) == 1000
    assert caught.value.message.startswith("a.csv is rejected: line 2, count: is not a number; line 3, count")
    assert caught.value.message.endswith("; and 995 more")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b",,\n"])
def test_a_sheet_without_a_header_is_empty(data):
    with pytest.raises(InputError) as caught:
        read(data)
    assert caught.value.code == "sheet_empty"


def test_a_header_alone_is_a_sheet_of_no_rows():
    assert read(b"key,count\n").rows == ()


def test_files_are_read_and_missing_ones_named(tmp_path: Path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(b"key\na\n")
    assert len(read_sheet(path, columns=COLUMNS).rows) == 1
    for bad in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError) as caught:
            read_sheet(bad, columns=COLUMNS)
        assert caught.value.code == "sheet_unreadable"
        assert bad.name in caught.value.message


def test_a_file_over_the_limit_is_not_read(tmp_path: Path):
    path = tmp_path / "sheet.csv"
    with path.open("wb") as file:
        file.truncate(MAX_SHEET_BYTES + 1)
    with pytest.raises(InputError) as caught:
        read_sheet(path, columns=COLUMNS)
    assert caught.value.code == "sheet_too_large"


def test_rejected_orders_problems_of_others_by_line():
    error = rejected([Problem(9, "mrn", "b"), Problem(2, "mrn", "a")])
    assert [problem.line for problem in error.problems] == [2, 9]
    assert error.code == "sheet_rejected"


@pytest.mark.parametrize("field", ["=1+1", "+1", "-1", "@SUM", "\t=1", "'=1", "''@x", "\uff1d1"])
def test_a_formula_is_written_as_text_and_read_back(field):
    assert guard(field) == f"'{field}"


@pytest.mark.parametrize("field", ["", "a=1", "O'Hara", "'quoted'", "1-2"])
def test_other_text_is_written_as_it_is(field):
    assert guard(field) == field


ANY_FIELD = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)


@given(st.lists(st.tuples(ANY_FIELD.filter(bool), ANY_FIELD), max_size=8))
def test_what_is_written_is_read_back(rows):
    columns = (Column("a", text, required=True), Column("b", text))
    out = io.StringIO()
    write_sheet(out, columns=("a", "b"), rows=rows)
    sheet = read_sheet(out.getvalue().encode(), columns=columns)
    assert [(row[columns[0]], row.get(columns[1]) or "") for row in sheet.rows] == rows


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    assert outcome(data) in {"read", "sheet_rejected", "sheet_empty"}


@given(st.text(alphabet='key,cout\n\r"=;\x00é ', max_size=60))
def test_any_near_miss_is_read_or_refused(tail):
    assert outcome(b"key,count,note\n" + tail.encode()) in {"read", "sheet_rejected"}


def test_a_hundred_thousand_rows_take_seconds():
    data = ("key,count,note\n" + "".join(f"k{i},{i},x\n" for i in range(100_000))).encode()
    start = time.process_time()
    assert len(read(data).rows) == 100_000
    assert time.process_time() - start < 10  # about 0.6 s; the bound only catches a quadratic reader
