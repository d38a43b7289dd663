from __future__ import annotations

import pytest

from vault.genotypes.contigs import find_assembly
from vault.genotypes.sites import TextColumn
from vault.views import released_text


def of(function, *texts):
    return [text.decode() for text in function(TextColumn.from_items(text.encode() for text in texts)).items()]


def test_filters_say_passed_not_applied_or_not_passed():
    texts = ["PASS", "PASS", ".", "q10", "q10;.", "PASS;q10", "0", "PASS;.", ".;.", "JohnDoe", "pass", "PASS"]
    shown = ["PASS", "PASS", ".", "not_passed", "not_passed", "not_passed", "not_passed", "PASS", ".", "not_passed", "not_passed"]
    assert of(released_text.filters, *texts) == [*shown, "PASS"]
    assert of(released_text.filters) == []


def test_ids_are_numbers_of_dbsnp():
    texts = [
        "rs7",
        ".",
        "JohnDoe",
        "rs7;JohnDoe",
        "MRN1;rs7;x;rs88",
        "rs",
        "rs7x",
        "xrs7",
        "RS7",
        "ss7",
        "rs7;;",
        "rs1234567890123",
        "",
    ]
    assert of(released_text.ids, *texts) == ["rs7", ".", ".", "rs7", "rs7;rs88", ".", ".", ".", ".", ".", "rs7", ".", "."]
    assert of(released_text.ids) == []


@pytest.mark.parametrize(
    ("alt", "svtype", "shown"),
    [
        *(
            (f"<{name}>", "", f"<{name}>")
            for name in ("DEL", "INS", "DUP:TANDEM", "DEL:ME:ALU", "CNV:TR", "CN0", "CN12", "*", "NON_REF")
        ),
        ("<DEL:ME:JohnDoe>", "", "<DEL:ME>"),
        ("<DEL:JohnDoe:ALU>", "", "<DEL>"),
        ("<JohnDoe>", "", "<*>"),
        ("<JohnDoe>", "DEL", "<DEL>"),
        ("<del>", "", "<*>"),
        ("<CN1234>", "", "<*>"),
        ("N[19:70[", "BND", "N[19:70["),
        ("]chr19:70]NACG", "", "]chr19:70]NACG"),
        ("N[JohnDoe:70[", "", "N."),
        ("]JohnDoe:70]N", "", ".N"),
        ("N[<JohnDoe>:70[", "", "N."),
        ("N[JohnDoe[", "", "<BND>"),
        (".[19:70[", "", ".[19:70["),
        (".[JohnDoe:70[", "", "<BND>"),
        ("]JohnDoe:70].", "", "<BND>"),
        ("C<JohnDoe>", "", "<INS>"),
        ("N.", "", "N."),
        (".N", "", ".N"),
        ("ACG", "", "ACG"),
        ("*", "", "*"),
    ],
)
def test_alts_are_symbols_of_the_specification(alt, svtype, shown):
    assert released_text.alt(alt.encode(), svtype, lambda name: name in ("19", "chr19")).decode() == shown


def test_svtypes_are_those_of_the_specification():
    fields = {b"DEL": "DEL", b"DEL:JohnDoe": "DEL", b"TRA": "BND", b"CTX": "BND", b"BND": "BND", b"JohnDoe": "", b"": ""}
    assert {value: released_text.svtype([b"END=5", b"SVTYPE=" + value]) for value in fields} == fields
    assert released_text.svtype([b""]) == ""


def test_contigs_of_public_assemblies_have_public_names():
    known = find_assembly("GRCh38")
    public = ["19", "chr19", "X", "MT", "NC_000019.10", "GL000225.1", "chrUn_KI270742v1", "chr1_KI270706v1_random", "hs37d5", "hs38d1",
              "chr6_GL000250v2_alt", "chr6_apd_hap1", "NC_007605", "chrEBV", "HLA-A*01:01:01:01", "HLA-DRB1*03:01:01:01N",
              "CHR_HSCHR6_MHC_COX_CTG1", "chrUn_JTFH01000001v1_decoy"]  # fmt: skip
    own = ["JohnDoe", "chr1_JohnDoe", "HLA-JohnDoe", "chr6_johndoesmith_hap1", "", "19 ", "MRN1234567890"]
    assert [name for name in public if not released_text.is_public_contig(name, known)] == []
    assert [name for name in own if released_text.is_public_contig(name, known)] == []
