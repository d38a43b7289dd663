import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import PolicyInputError
from policies.loci import (
    END,
    Catalogue,
    Interval,
    LocusRule,
    Mask,
    RuleKind,
    normalise_contig,
    parse_bed,
    parse_catalogue,
    parse_region,
    parse_regions,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:16000000-16100000", Interval("22", 15_999_999, 16_100_000)),
        ("chr22:16,000,000-16,100,000", Interval("22", 15_999_999, 16_100_000)),
        ("22:100", Interval("22", 99, 100)),
        ("22:100-", Interval("22", 99, END)),
        ("chr22", Interval("22", 0, END)),
        (" CHRX ", Interval("X", 0, END)),
        ("chrM:1-2", Interval("MT", 0, 2)),
        ("HLA-A*01:01:01:01:5-9", Interval("HLA-A*01:01:01:01", 4, 9)),
        ("GL000192.1:7-7", Interval("GL000192.1", 6, 7)),
    ],
)
def test_regions_as_people_write_them(text, expected):
    assert parse_region(text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "22:0", "22:0-5", "22:9-8", "22:5-99999999999", "22: 5", "2 2", "22,23", "22:\n5", "a\tb", "=x", "22:٣"]
)
def test_bad_regions(text):
    with pytest.raises(PolicyInputError) as caught:
        parse_region(text, place="region")
    assert caught.value.code == "bad_region"
    assert caught.value.place == "region"


def test_no_region_never_means_everything():
    for parse in (parse_regions, parse_bed):
        with pytest.raises(PolicyInputError) as caught:
            parse([])
        assert caught.value.code == "no_regions"


def test_bed_lines():
    lines = ["\ufefftrack name=x", "# comment", "", "chr22\t10\t20\tname", "22 15 30\r\n", "chrM\t0\t5"]
    assert parse_bed(lines) == Mask((Interval("22", 10, 30), Interval("MT", 0, 5)))


@pytest.mark.parametrize(
    "line", ["22\t10", "22\t20\t10", "22\t5\t5", "22\t-1\t5", "22\tx\t5", "22\t1\t99999999999", "2 2\t1\t5", "22\t²\t9"]
)
def test_bad_bed_lines_are_named(line):
    with pytest.raises(PolicyInputError) as caught:
        parse_bed(["22\t1\t2", line])
    assert caught.value.place == "line 2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chr22", "22"),
        ("22", "22"),
        ("chrM", "MT"),
        ("M", "MT"),
        ("MT", "MT"),
        ("chrx", "X"),
        ("chr", "chr"),
        ("chrUn_KI270302v1", "Un_KI270302v1"),
    ],
)
def test_contig_spellings(name, expected):
    assert normalise_contig(name) == expected


def test_a_variant_is_covered_by_any_of_its_bases():
    mask = Mask.from_intervals([Interval("22", 100, 200)])
    assert [mask.covers("chr22", position) for position in (100, 101, 200, 201)] == [False, True, True, False]
    assert mask.covers("22", 95, 6) is False
    assert mask.covers("22", 95, 7) is True
    assert not mask.covers("21", 150)


intervals = st.lists(
    st.builds(
        lambda contig, start, length: Interval(contig, start, start + length),
        st.sampled_from(["1", "2"]),
        st.integers(0, 60),
        st.integers(1, 9),
    ),
    max_size=8,
)


def bases(mask: Mask) -> set[tuple[str, int]]:
    return {(item.contig, at) for item in mask.intervals for at in range(item.start, item.end)}


@given(intervals, intervals)
def test_masks_are_sets_of_bases(first, second):
    a, b = Mask.from_intervals(first), Mask.from_intervals(second)
    assert bases(a.union(b)) == bases(a) | bases(b)
    assert bases(a.minus(b)) == bases(a) - bases(b)
    assert bases(a.intersection(b)) == bases(a) & bases(b)
    assert a == Mask.from_intervals(reversed(first))
    assert all(one.contig != two.contig or one.end < two.start for one, two in zip(a.intervals, a.intervals[1:], strict=False))


@given(intervals, st.integers(1, 80), st.integers(1, 12))
def test_covers_is_membership(items, position, length):
    mask = Mask.from_intervals(items)
    touched = {("1", at) for at in range(position - 1, position - 1 + length)}
    assert mask.covers("chr1", position, length) == bool(touched & bases(mask))


PACK = {
    "version": "test 1",
    "source": "made up",
    "date": "2025-01-01",
    "assemblies": {"GRCh38": {"genes": {"APOE": ["19:44905791-44909393"]}, "categories": {"mito": ["MT"]}}},
}
GENE, MITO = LocusRule(RuleKind.GENE, "APOE"), LocusRule(RuleKind.CATEGORY, "mito")
HERE = LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("1", 1_000_000, 1_000_100))


def catalogue(assembly: str) -> Catalogue:
    return parse_catalogue(json.dumps(PACK), assembly=assembly)


def test_rules_resolve_on_their_own_assembly_with_a_margin():
    found = resolve([GENE, HERE], assembly="hg38", catalogue=catalogue("hg38"), margin=10)
    assert found.unresolved == ()
    assert found.mask == Mask.from_intervals([Interval("19", 44_905_780, 44_909_403), Interval("1", 999_990, 1_000_110)])


def test_another_assembly_or_an_unknown_name_stays_unresolved():
    assert resolve([HERE], assembly="GRCh37").unresolved == (HERE,)
    assert resolve([GENE], assembly="GRCh37", catalogue=catalogue("GRCh37")).unresolved == (GENE,)
    assert resolve([GENE], assembly="GRCh37", catalogue=catalogue("GRCh38")).unresolved == (GENE,)
    assert resolve([GENE, MITO], assembly="GRCh38").unresolved == (MITO, GENE)
    renamed = LocusRule(RuleKind.GENE, "OLDNAME1")
    assert resolve([renamed], assembly="GRCh38", catalogue=catalogue("GRCh38")).unresolved == (renamed,)


def test_two_builds_are_resolved_each_by_its_own():
    other = LocusRule(RuleKind.INTERVAL, "", "GRCh37", Interval("1", 5, 9))
    found = resolve([HERE, other], assembly="GRCh38", margin=0)
    assert found.mask == Mask((Interval("1", 1_000_000, 1_000_100),))
    assert found.unresolved == (other,)


@pytest.mark.parametrize(
    "change",
    [{"extra": 1}, {"version": None}, {"assemblies": {"GRCh38": {"genes": {"X": []}}}}, {"assemblies": {"GRCh38": {"x": {}}}}],
)
def test_a_bad_catalogue_is_refused(change):
    with pytest.raises(PolicyInputError):
        parse_catalogue(json.dumps({**PACK, **change}), assembly="GRCh38")


def test_a_pack_may_spell_an_assembly_otherwise_but_not_twice():
    places = PACK["assemblies"]["GRCh38"]
    spelled = json.dumps({**PACK, "assemblies": {"GRCh38.p14": places, "hs37d5": {}}})
    assert parse_catalogue(spelled, assembly="hg38") == catalogue("GRCh38")
    with pytest.raises(PolicyInputError, match="one assembly"):
        parse_catalogue(json.dumps({**PACK, "assemblies": {"hg38": places, "GRCh38": places}}), assembly="GRCh38")


@pytest.mark.parametrize(
    ("assembly", "rs429358", "rs7412"), [("GRCh37", 45_411_941, 45_412_079), ("GRCh38", 44_908_684, 44_908_822)]
)
def test_the_shipped_catalogue_masks_both_apoe_variants(assembly, rs429358, rs7412):
    text = (resources.files("policies.packs") / "loci-2026-11-30.json").read_text(encoding="utf-8")
    found = resolve([GENE], assembly=assembly, catalogue=parse_catalogue(text, assembly=assembly), margin=0)
    assert found.unresolved == ()
    assert found.mask.covers("chr19", rs429358)
    assert found.mask.covers("chr19", rs7412)


KNOWN = (  # variants that tell healthy carriers of a later disease, at GRCh37 and GRCh38
    ("neurodegenerative", "14", 73_664_808, 73_198_100),  # PSEN1 E280A
    ("neurodegenerative", "1", 227_073_304, 226_885_603),  # PSEN2 N141I
    ("neurodegenerative", "21", 27_264_096, 25_891_784),  # APP V717I
    ("neurodegenerative", "17", 44_087_755, 46_010_389),  # MAPT P301L
    ("neurodegenerative", "20", 4_680_251, 4_699_605),  # PRNP M129V
    ("neurodegenerative", "9", 27_573_534, 27_573_534),  # the repeat of C9orf72
    ("neurodegenerative", "12", 40_734_202, 40_340_400),  # LRRK2 G2019S
    ("neurodegenerative", "19", 45_411_941, 44_908_684),  # APOE e4
    ("hereditary-cancer", "17", 41_276_045, 43_124_028),  # BRCA1 185delAG
    ("hereditary-cancer", "13", 32_914_437, 32_340_300),  # BRCA2 6174delT
    ("hereditary-cancer", "17", 7_577_121, 7_673_803),  # TP53 R273C
    ("acmg-sf", "6", 26_093_141, 26_092_913),  # HFE C282Y
    ("acmg-sf", "17", 7_577_121, 7_673_803),  # TP53 R273C
    ("blood-group", "9", 136_132_908, 133_257_521),  # ABO O01
    ("forensic-str", "11", 2_192_318, 2_171_088),  # TH01
)


@pytest.mark.parametrize(("category", "contig", "old", "new"), KNOWN)
def test_the_shipped_categories_hold_known_variants_without_a_margin(category, contig, old, new):
    text = (resources.files("policies.packs") / "loci-2026-11-30.json").read_text(encoding="utf-8")
    for assembly, position in (("GRCh37", old), ("GRCh38", new)):
        rule = LocusRule(RuleKind.CATEGORY, category)
        found = resolve([rule], assembly=assembly, catalogue=parse_catalogue(text, assembly=assembly), margin=0)
        assert found.mask.covers(contig, position), assembly


@pytest.mark.parametrize("assembly", ["GRCh37", "GRCh38"])
def test_every_gene_of_a_shipped_category_has_a_name(assembly):
    places = json.loads((resources.files("policies.packs") / "loci-2026-11-30.json").read_text())["assemblies"][assembly]
    named = {interval for intervals in places["genes"].values() for interval in intervals}
    for category in ("neurodegenerative", "hereditary-cancer", "acmg-sf", "blood-group"):
        assert set(places["categories"][category]) <= named


def test_every_shipped_name_is_on_both_assemblies():
    by_assembly = json.loads((resources.files("policies.packs") / "loci-2026-11-30.json").read_text())["assemblies"]
    for kind in ("genes", "categories"):
        assert by_assembly["GRCh37"][kind].keys() == by_assembly["GRCh38"][kind].keys()
    numbers = {name: len(places) for name, places in by_assembly["GRCh38"]["categories"].items()}
    assert (numbers["acmg-sf"], numbers["forensic-str"]) == (84, 20)
    assert numbers == {name: len(places) for name, places in by_assembly["GRCh37"]["categories"].items()}
