"""gVCFs of one person: random ones against the plain reader and its array of bases, and each rule by hand."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.per_base import intervals_of, per_base
from tests.support.plain_gvcf import read_plainly
from tests.vault.genotypes.ingest.gvcfs import intervals, read, records, write
from vault.genotypes.ingest import gvcf
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.open_source import open_source

SIZE = 90
FIRST = "1 1 . A <NON_REF> . . END=1 GT:GQ 0/0:0"  # tells the mode, and nothing else

GTS = st.sampled_from(["0/0", "0|0", "0", "./.", ".", "0/.", "0/0/0"])
NUMBERS = st.sampled_from(["0", "4", "5", "9", "10", "19", "20", "29", "30", "99", "."])
FILTERS = st.sampled_from(["PASS", ".", "RefCall", "q10", "PASS;q10", "LowGQX"])
BASES = st.text(alphabet="AC", min_size=1, max_size=4)


@st.composite
def quality(draw: st.DrawFn) -> list[tuple[str, str]]:
    keys = draw(st.lists(st.sampled_from(["GQ", "RGQ", "GQX", "DP", "MIN_DP", "MinDP"]), unique=True))
    fields = [(key, draw(NUMBERS)) for key in keys]
    return [*fields, *([("FT", draw(FILTERS))] if draw(st.booleans()) else [])]


@st.composite
def block(draw: st.DrawFn, pos: int) -> str:
    alt, ref = draw(st.sampled_from(["<NON_REF>", "<*>", "."])), draw(BASES)
    fields, infos = [("GT", draw(GTS)), *draw(quality())], []
    length = draw(st.integers(1, 20))
    way = draw(st.sampled_from(["END", "LEN", "both", "REF"]))
    if way in {"END", "both"}:
        infos.append(f"END={pos + length - 1}")
    if way in {"LEN", "both"}:
        fields.append(("LEN", str(length)))
    if draw(st.booleans()):
        infos.append(f"{draw(st.sampled_from(['MIN_DP', 'MinDP', 'DP']))}={draw(NUMBERS)}")
    if {"END", "LEN"} & {way, "LEN" if way == "both" else way} and not {"GQ", "RGQ", "GQX"} & {key for key, _ in fields}:
        fields.append(("GQ", draw(NUMBERS)))  # else it is refused
    return line(pos, ref, alt, fields, filters=draw(FILTERS), info=";".join(draw(st.permutations(infos))) or ".")


@st.composite
def variant(draw: st.DrawFn, pos: int) -> str:
    others = st.sampled_from(["*", "<NON_REF>", "<*>", "<DUP>"])
    alts = draw(st.lists(BASES | BASES | others, min_size=1, max_size=3, unique=True))
    allele = st.integers(0, len(alts)).map(str) | st.just(".")
    gt = draw(st.lists(allele, min_size=1, max_size=3))
    fields = [("GT", draw(st.sampled_from("/|")).join(gt)), *draw(quality())]
    return line(pos, draw(BASES), ",".join(alts), fields, filters=draw(FILTERS))


def line(pos: int, ref: str, alts: str, fields: list[tuple[str, str]], *, filters: str, info: str = ".") -> str:
    keys, values = zip(*fields, strict=True)
    return f"1 {pos} . {ref} {alts} . {filters} {info} {':'.join(keys)} {':'.join(values)}"


@st.composite
def bodies(draw: st.DrawFn) -> list[str]:
    places = sorted(draw(st.lists(st.integers(1, SIZE - 24), max_size=12)))
    return [FIRST, *(draw(block(pos) if draw(st.booleans()) else variant(pos)) for pos in places)]


RULES = st.builds(
    AssayRule,
    min_gq=st.sampled_from([0, 10, 20, 25, 30]),
    min_dp=st.sampled_from([0, 10, 20]),
    min_dp_haploid=st.sampled_from([0, 5]),
    accepted_filters=st.sampled_from([(), ("q10",), ("LowGQX", "q10")]),
    filtered=st.sampled_from(["missing", "keep"]),
)


@given(bodies(), RULES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_is_read_as_the_plain_reader_reads_it(tmp_path, body, rule):
    calls = read(write(tmp_path, body), rule)
    plain = read_plainly([text.replace(" ", "\t") for text in body], rule)
    assert intervals(calls.tracks.get("1")) == intervals_of(per_base(plain.intervals, SIZE))
    assert records(calls.calls.get("1")) == plain.records
    assert calls.counts.kept == len(plain.records)


def outcome(tmp_path, lines, rule=None):
    calls = read(write(tmp_path, [FIRST, *lines]), rule)
    return intervals(calls.tracks.get("1")), records(calls.calls.get("1")), calls.counts


GOOD = "GT:DP:GQ:MIN_DP"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:30:10", [(5, 9, 3)]),  # GATK
        ("1 5 . A <*> 0 . END=9 GT:GQ:MIN_DP:PL 0/0:50:63:0,201,2009", [(5, 9, 3)]),  # DeepVariant
        ("1 5 . A <*> 0 RefCall . GT:GQ:DP:AD 0/0:20:10:10,0", [(5, 5, 2)]),
        ("1 5 . A . . PASS END=9;BLOCKAVG_min30p3a GT:GQX:DP:DPF:MIN_DP 0/0:79:51:0:33", [(5, 9, 3)]),  # Strelka
        ("1 5 . A . . PASS END=9 GT:GQX:DP:DPF:MIN_DP 0:25:7:0:5", [(5, 9, 6)]),
        ("1 5 . A <*> . PASS END=9;MIN_DP=12 GT:DP:GQ 0/0:12:29", [(5, 9, 2)]),  # bcftools, GQ asked for
        ("1 5 . A <*> . PASS END=9;MinDP=9 GT:DP:GQ 0/0:12:29", []),  # older bcftools
        ("1 5 . A . . . . GT:AD:DP:RGQ 0/0:10:10:22", [(5, 5, 2)]),  # GATK, all sites
        ("1 5 . A <*> . . . GT:GQ:LEN 0/0:20:5", [(5, 9, 2)]),  # VCF 4.5
        ("1 5 . A <*> . . END=9 GT:GQ:LEN 0/0:20:5", [(5, 9, 2)]),
        (f"1 0 . N <NON_REF> . . END=9 {GOOD} 0/0:30:30:10", [(1, 9, 3)]),  # a telomere
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:30:9", []),
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:19.9:99", []),
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:-1:99", []),
        (f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30", []),
        (f"1 5 . A <NON_REF> . LowQual END=9 {GOOD} 0/0:30:30:10", []),
        ("1 5 . A <NON_REF> . . END=9 GQ 99", []),
        ("1 5 . ACG C,<NON_REF> . . . GT:GQ 0/0:40", [(5, 7, 3)]),  # R2
        ("1 5 . ACG C,<NON_REF> . . . GT:GQ ./.:40", []),
    ],
)
def test_a_block_of_each_caller(tmp_path, text, expected):
    body = [FIRST, text] if not text.startswith("1 0") else [text]
    assert intervals(read(write(tmp_path, body)).tracks.get("1")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 10 . A G,<NON_REF> . . . GT 0/1", (10, "A,G", "0/1")),
        ("1 10 . A G,C,<NON_REF> . . . GT 2|0", (10, "A,C", "1|0")),
        ("1 10 . ATT A,AT,<NON_REF> . . . GT 0/2", (10, "AT,A", "0/1")),
        ("1 10 . ATTT A,ATTG,<NON_REF> . . . GT 0/2", (13, "T,G", "0/1")),
        ("1 10 . ATTT A,ATTG,<NON_REF> . . . GT 1/2", (10, "ATTT,A,ATTG", "1/2")),
        ("1 10 . A G,<NON_REF> . . . GT 1/2", (10, "A,G", "1/.")),
        ("1 10 . A *,G,<NON_REF> . . . GT 1/2", (10, "A,*,G", "1/2")),
        ("1 10 . AT *,GT,<NON_REF> . . . GT 1/2", (10, "AT,*,GT", "1/2")),
        ("1 10 . A G,<NON_REF> . . . GT 1", (10, "A,G", "1")),
        ("1 10 . A G,<NON_REF> . . . GT 0/1/1", (10, "A,G", "0/1/1")),
        ("1 10 . A G,<NON_REF> . . . GT:PS 0|1:10", (10, "A,G", "0/1")),
        ("1 10 . a g . . . GT 0/1", (10, "a,g", "0/1")),
        ("1 10 . aT GT . . . GT 0/1", (10, "a,G", "0/1")),
    ],
)
def test_a_record_is_kept_as_short_as_its_called_alleles_allow(tmp_path, text, expected):
    track, kept, counts = outcome(tmp_path, [f"1 5 . A <NON_REF> . . END=30 {GOOD} 0/0:30:30:10", text])
    assert kept == [expected]
    assert track == [(5, 9, 3), (10 + len(text.split()[3]), 30, 3)]  # the REF that the file had is cut
    assert counts.blocks_over_variants == 1


def test_records_are_sorted_again_after_trimming(tmp_path):
    _, kept, _ = outcome(tmp_path, ["1 10 . ATTT A,ATTG . . . GT 0/2", "1 11 . T C . . . GT 0/1"])
    assert [pos for pos, _, _ in kept] == [11, 13]


def test_nothing_under_a_symbolic_deletion_is_assayed(tmp_path):
    block = f"1 5 . A <NON_REF> . . END=30 {GOOD} 0/0:30:30:10"
    track, kept, _ = outcome(tmp_path, [block, "1 10 . A <DEL> . . END=20;SVTYPE=DEL GT 0/1"])
    assert kept == [(10, "A,<DEL>", "0/1")]
    assert track == [(5, 9, 3), (21, 30, 3)]


def test_a_called_unknown_allele_is_missing_over_the_whole_block(tmp_path):
    block = f"1 5 . A <NON_REF> . . END=30 {GOOD} 0/0:30:30:10"
    track, kept, counts = outcome(tmp_path, [block, f"1 8 . A <NON_REF> . . END=12 {GOOD} 0/1:30:30:10"])
    assert (track, kept, counts.unknown_allele_records) == ([(5, 7, 3), (13, 30, 3)], [], 1)


@pytest.mark.parametrize(("filtered", "expected"), [("missing", []), ("keep", [(10, "A,G", "0/1")])])
def test_a_filtered_call_is_missing_or_kept(tmp_path, filtered, expected):
    lines = [f"1 5 . A <NON_REF> . . END=30 {GOOD} 0/0:30:30:10", "1 10 . A G . q10 . GT 0/1"]
    track, kept, counts = outcome(tmp_path, lines, AssayRule(filtered=filtered))
    assert (track, kept) == ([(5, 9, 3), (11, 30, 3)], expected)
    assert counts.filtered_records == (filtered == "missing")
    assert outcome(tmp_path, lines, AssayRule(accepted_filters=("q10",)))[1] == [(10, "A,G", "0/1")]


def test_every_record_is_counted_by_what_became_of_it(tmp_path):
    lines = [
        f"1 5 . A <NON_REF> . . END=9 {GOOD} 0/0:30:30:10",
        f"1 8 . A <NON_REF> . . END=12 {GOOD} 0/0:30:10:10",
        f"1 13 . A <NON_REF> . . END=14 {GOOD} 0/0:30:30:1",
        f"1 15 . A <NON_REF> . q END=16 {GOOD} 0/0:30:30:10",
        "1 17 . A <NON_REF> . . END=18 GT 0/0/0",
        "1 19 . A C . . . GT ./.",
    ]
    counts = {name: count for name, count in outcome(tmp_path, lines)[2].as_dict().items() if count}
    assert counts == {
        "blocks": 6,
        "confident_blocks": 1,
        "low_gq": 2,
        "low_dp": 1,
        "filtered_blocks": 1,
        "no_call_blocks": 1,
        "no_call_records": 1,
        "overlapping_blocks": 1,
    }


def test_no_quality_is_needed_where_none_is_asked_for(tmp_path):
    lines = ["1 5 . A <*> . . END=9 GT:DP 0/0:30", "1 10 . A <*> . . END=12 GT:DP 0/0:3"]
    assert intervals(read(write(tmp_path, lines), AssayRule(min_gq=0)).tracks["1"]) == [(5, 9, 1)]


def test_contigs_keep_apart_and_their_order(tmp_path):
    block = f". A <NON_REF> . . END=9 {GOOD} 0/0:30:30:10"
    calls = read(write(tmp_path, [f"2 5 {block}", "2 7 . A C . . . GT 0/1", f"1 5 {block}", "3 5 . A C . . . GT 1/1"]))
    assert list(calls.tracks) == ["2", "1"]
    assert list(calls.calls) == ["2", "3"]
    assert calls.contigs == ("2", "3", "1")
    assert intervals(calls.tracks["1"]) == [(5, 9, 3)]


@pytest.mark.parametrize(
    ("lines", "is_gvcf"),
    [
        (["1 5 . A <NON_REF> . . . GT:GQ 0/0:3"], True),
        (["1 5 . A <*> . . . GT 0/0"], True),
        (["1 5 . A G,<NON_REF> . . . GT 0/1"], True),
        (["1 5 . A . . . END=9 GT 0/0"], True),
        (["1 5 . A . . . END=5 GT 0/0"], True),
        (["1 5 . A . . . . GT:RGQ 0/0:7"], True),
        (["1 5 . A C . . . GT 0/0", "nonsense", "1 6 . A <*> . . . GT 0/0"], True),
        (["1 5 . A . . . . GT:GQ:DP 0/0:40:30"], False),  # a site that somebody asked for
        (["1 5 . AGG <*> . PCATxINDEL . GT 0/0"], False),  # PharmCAT's preprocessor, for an ALT that it did not find
        (["1 5 . A G,<*> . . . GT 0/1"], False),
        (["1 5 . A <DEL> . . END=9 GT 0/1"], False),
        (["1 5 . A C . . . GT 0/0"] * 9_999 + ["1 6 . A <*> . . . GT 0/0"], True),
        (["1 5 . A C . . . GT 0/0"] * 10_000 + ["1 6 . A <*> . . . GT 0/0"], False),
        ([], False),
    ],
)
def test_the_content_tells_the_mode(tmp_path, lines, is_gvcf):
    with open_source(write(tmp_path, lines, "plain.vcf")) as source:
        assert source.gvcf is is_gvcf


def test_arrays_grow_as_a_file_needs_them(tmp_path, monkeypatch):
    lines = [FIRST]
    for at in range(2, 400, 4):
        keys = ":".join(f"K{number}" for number in range(at % 40))
        lines += [f"1 {at} . A <NON_REF> . . END={at} {GOOD} 0/0:30:{at % 40}:10", f"1 {at + 1} . A G . . . GT:{keys}:X 0/1"]
        lines += [f"1 {at + 2} . A {','.join('ACGT'[k % 4] + 'A' * k for k in range(1, 12))} . . . GT 9/10/11"]
    path = write(tmp_path, [line.replace("::", ":") for line in lines])
    whole = read(path)
    for name in ("_ROWS", "_INTERVALS", "_TEXT", "_ESCAPES", "_KEYS"):
        monkeypatch.setattr(gvcf, name, 2)
    again = read(path)
    assert intervals(again.tracks["1"]) == intervals(whole.tracks["1"])
    assert records(again.calls["1"]) == records(whole.calls["1"])
    assert len(whole.calls["1"].escapes) == 100
    assert again.counts == whole.counts
