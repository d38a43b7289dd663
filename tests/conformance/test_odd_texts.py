"""Odd texts in what a view keeps of a source: refused at import, or by the allow-lists in an extract that bcftools reads without a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.carried import filter_shown
from tests.support.golden import run
from tests.support.held import Held
from tests.support.outside import tool
from vault.errors import GenovaultError, InputError

ODD = [
    *(f"a{c}b" for c in " ,=<>\"\\;:%#'|&*/[]"),
    "0",
    "1",
    "-1",
    ".x",
    "PASS",
    "PASS;.",
    "q10;.",
    "GT",
    "<1>",
    "é",
    "\u00a0",
    "\u2028",
    "a\u0080",
    "a\x7f",
    b"\xff",
    "x" * 1000,
]

COLUMNS = {  # a record with the odd text in one column
    "filter": b"1\t100\t.\tA\tC\t.\t%s\t.\tGT\t0/1",
    "id": b"1\t100\t%s\tA\tC\t.\tPASS\t.\tGT\t0/1",
    "symbol": b"1\t100\t.\tA\t<%s>\t.\tPASS\tEND=200\tGT\t0/1",
    "svtype": b"1\t100\t.\tA\t<DEL>\t.\tPASS\tEND=200;SVTYPE=%s\tGT\t0/1",
    "contig": b"%s\t100\t.\tA\tC\t.\tPASS\t.\tGT\t0/1",
    "mate": b"1\t100\t.\tA\tA]%s:5]\t.\tPASS\t.\tGT\t0/1",
}
HEADER = b'##fileformat=VCFv4.3\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
HEADER += b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n"


def as_shown(column: str, fields: list[str]) -> list[str]:
    """CHROM to FILTER as a view shows them: free text of the source does not leave (docs/design/disclosure.md §11)."""
    contig, pos, _, ref, alt, qual, filters = fields
    if column == "symbol":
        alt = alt if alt in ("<DEL>", "<INS>") else "<*>"
    if column == "mate":
        alt = alt if alt in ("A]1:5]", "A]MT:5]") else "A."
    return [contig, pos, ".", ref, alt, qual, filter_shown(filters)]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        pytest.param("filter", ODD[::4], id="some in filter"),
        *(pytest.param(column, ODD, id=column, marks=pytest.mark.long) for column in COLUMNS),
    ],
)
def test_odd_texts_are_refused_or_come_out_readable(tmp_path: Path, column: str, texts: list[str | bytes]):
    tool("bcftools")
    held = Held.make(tmp_path)
    wrong, taken = [], 0
    for number, odd in enumerate(texts):
        record = COLUMNS[column] % (odd if isinstance(odd, bytes) else odd.encode())
        path = held.write(f"{number}.vcf", HEADER + record + b"\n")
        try:
            held.load(path, name=f"d{number}", namespace=f"n{number}")
        except InputError as error:
            assert "line 4" in error.message
            continue
        taken += 1
        try:
            held.answer({f"sample:n{number}/S": "yes"})
            held.project(f"p{number}", f"d{number}", keep_ids=True)
            for kind, name in (("vcf", "genotypes.vcf.gz"), ("bcf", "genotypes.bcf")):
                out = held.extract(f"p{number}", f"d{number}", out=f"{kind}{number}", file_format=kind)
                written = run("bcftools", "view", "-H", out / name)
                assert written.split("\t")[:7] == as_shown(column, record.decode().split("\t")[:7])
        except (GenovaultError, AssertionError, ValueError) as error:
            wrong.append(f"{odd!r}: {type(error).__name__} {error}"[:200])
    assert not wrong, "\n" + "\n".join(wrong)
    assert taken >= 3
    held.vault.close()
