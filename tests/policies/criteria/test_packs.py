"""Criteria packs: read strictly, every problem with its place, the same text in and out."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.criteria import expressions, packs
from policies.criteria.packs import lint, parse_pack, parse_stored
from policies.errors import PolicyInputError
from tests.support.criteria_oracle import PACK


def changed(**fields):
    return {**copy.deepcopy(PACK), **fields}


def criterion(expression):
    return changed(criteria=[{"id": "one", "title": "One", "expression": expression}])


def test_a_pack_is_read_and_written_alike():
    pack = parse_pack(PACK)
    assert (pack.label, len(pack.criteria), pack.genes["G1"].loci) == ("small@1", 4, ("a", "b", "c"))
    assert parse_stored(pack.text()) == pack
    assert parse_stored(pack.text()).text() == pack.text()
    assert lint(PACK) == ()


def test_an_allele_has_one_spelling():
    padded = changed(loci={**PACK["loci"], "c": "22:1199:AG:AGT"})
    assert parse_pack(padded).loci["c"] == parse_pack(PACK).loci["c"]


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        (changed(name="No Name"), "name", "bad_name"),
        (changed(version=0), "version", "not_a_number"),
        (changed(version=True), "version", "not_a_number"),
        ({key: value for key, value in PACK.items() if key != "version"}, "version", "missing"),
        (changed(source=""), "source", "empty"),
        (changed(assembly="hg99"), "assembly", "assembly_unknown"),
        (changed(surprise=1), "surprise", "unknown_field"),
        (changed(loci={}), "loci", "empty"),
        (changed(loci={**PACK["loci"], "d": "22:5:A:<DEL>"}), "loci.d", "bad_allele"),
        (changed(loci={**PACK["loci"], "d": 7}), "loci.d", "not_text"),
        (changed(loci={**PACK["loci"], "d": "22:1000:A:G"}), "loci.d", "repeated"),
        (changed(loci={**PACK["loci"], "d d": "22:5:A:G"}), "loci.d d", "bad_name"),
        (changed(genes={"G1": {"reference": "*1", "haplotypes": {"*2": ["z"]}}}), "genes.G1.haplotypes.*2", "unknown_locus"),
        (changed(genes={"G1": {"reference": "*1", "haplotypes": {"*1": ["a"]}}}), "genes.G1.haplotypes.*1", "repeated"),
        (changed(genes={"G1": {"reference": "*1", "haplotypes": {"*2": "a"}}}), "genes.G1.haplotypes.*2", "not_a_list"),
        (
            changed(genes={"G1": {"reference": "*1", "haplotypes": {"*2": ["a"], "*3": ["a"]}}}),
            "genes.G1.haplotypes.*3",
            "repeated",
        ),
        (changed(criteria=[]), "criteria", "empty"),
        (changed(criteria=[*PACK["criteria"], PACK["criteria"][0]]), "criteria[4].id", "repeated"),
        (criterion({"carries": "z"}), "criteria[0].expression.carries", "unknown_locus"),
        (criterion({"carries": "a", "genotype": "a"}), "criteria[0].expression", "not_an_expression"),
        (criterion({"python": "1"}), "criteria[0].expression", "not_an_expression"),
        (criterion({"carries": "a", "is": ["het"]}), "criteria[0].expression.is", "unknown_field"),
        (criterion({"genotype": "a", "is": ["half"]}), "criteria[0].expression.is[0]", "not_a_choice"),
        (criterion({"genotype": "a", "is": ["none", "het", "hom"]}), "criteria[0].expression.is", "says_nothing"),
        (criterion({"diplotype": "G9", "is": ["*1/*2"]}), "criteria[0].expression.diplotype", "unknown_gene"),
        (criterion({"diplotype": "G1", "is": ["*1"]}), "criteria[0].expression.is[0]", "bad_diplotype"),
        (criterion({"diplotype": "G1", "is": ["*1/*9"]}), "criteria[0].expression.is", "unknown_haplotype"),
        (criterion({"diplotype": "G1"}), "criteria[0].expression", "not_an_expression"),
        (criterion({"diplotype": "G1", "one": ["*1"]}), "criteria[0].expression.other", "missing"),
        (criterion({"and": []}), "criteria[0].expression.and", "empty"),
        (criterion({"not": {"carries": "z"}}), "criteria[0].expression.not.carries", "unknown_locus"),
    ],
)
def test_a_problem_has_its_place(document, place, code):
    assert (place, code) in [(problem.place, problem.code) for problem in lint(document)]
    with pytest.raises(PolicyInputError):
        parse_pack(document)


def test_all_problems_are_told_at_once():
    document = changed(
        source="",
        criteria=[{"id": "one", "title": "One", "expression": {"carries": "z"}}, {"id": "two", "title": "Two", "expression": {}}],
    )
    assert {problem.place for problem in lint(document)} >= {"source", "criteria[0].expression.carries", "criteria[1].expression"}


def nested(depth):
    found = {"carries": "a"}
    for _ in range(depth):
        found = {"not": found}
    return found


def test_what_is_too_large_is_refused_and_not_worked_through():
    assert lint(criterion(nested(expressions.MAX_DEPTH))) == ()
    assert [problem.code for problem in lint(criterion(nested(expressions.MAX_DEPTH + 1)))] == ["too_deep"]
    many = {"or": [{"carries": "a"}] * 9_000}
    three = changed(criteria=[{"id": f"c{at}", "title": "C", "expression": many} for at in range(3)])
    assert "too_many" in [problem.code for problem in lint(three)]
    ids = changed(
        criteria=[{"id": f"c{at}", "title": "C", "expression": {"carries": "a"}} for at in range(packs.MAX_CRITERIA + 1)]
    )
    assert "too_many" in [problem.code for problem in lint(ids)]
    loci = changed(loci={f"l{at}": f"22:{at + 1}:A:G" for at in range(packs.MAX_LOCI + 1)}, genes={}, criteria=PACK["criteria"])
    assert "too_many" in [problem.code for problem in lint(loci)]


def test_a_product_of_haplotypes_is_every_pair():
    def pairs(expression):
        return parse_pack(criterion(expression)).criteria[0].expression.pairs

    assert pairs({"diplotype": "G1", "both": ["*2", "*3"]}) == (("*2", "*2"), ("*2", "*3"), ("*3", "*3"))
    assert pairs({"diplotype": "G1", "one": ["*1"], "other": ["*3", "*2"]}) == (("*1", "*2"), ("*1", "*3"))
    assert pairs({"diplotype": "G1", "is": ["*3/*1"]}) == (("*1", "*3"),)


def test_what_is_asked_has_a_digest_of_its_own():
    pack = parse_pack(PACK)
    meanings = {pack.meaning(one) for one in pack.criteria}
    assert len(meanings) == len(pack.criteria)
    again = parse_pack(changed(name="other", version=9, source="elsewhere"))
    assert {again.meaning(one) for one in again.criteria} == meanings
    moved = parse_pack(changed(loci={**PACK["loci"], "a": "22:1001:A:G"}))
    assert pack.meaning(pack.criteria[1]) == moved.meaning(moved.criteria[1])
    assert {pack.meaning(pack.criteria[at]) == moved.meaning(moved.criteria[at]) for at in (0, 2, 3)} == {False}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["carries", "genotype", "diplotype", "is", "and", "not", "one"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PACK)), json_values)
def test_whatever_stands_in_a_field_is_read_or_has_a_problem(field, value):
    document = changed(**{field: value})
    problems = lint(document)
    if problems:
        assert all(problem.message for problem in problems)
    else:
        assert parse_stored(parse_pack(document).text()) == parse_pack(document)


@given(json_values)
def test_an_expression_of_any_shape_is_read_or_has_a_problem(value):
    document = criterion(value)
    assert lint(document) or parse_pack(document).criteria
