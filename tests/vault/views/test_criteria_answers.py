"""Criteria of all people at once against each person alone, every genotype that the calls allow listed one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from policies.criteria.packs import parse_pack
from tests.support.criteria_oracle import PACK
from tests.support.criteria_oracle import answer as one_by_one
from vault.views.criteria_answers import answer
from vault.views.locus_states import ONLY, PHASED, parts

LOCI = ("a", "b", "c")
alleles = st.integers(0, 3)
codes = st.builds(
    lambda first, second, phased: first * 5 + second + (PHASED if phased and second != ONLY else 0),
    alleles,
    st.integers(0, 4),
    st.booleans(),
)
people = st.lists(st.fixed_dictionaries(dict.fromkeys(LOCI, codes)), min_size=1, max_size=20)

terms = st.one_of(
    st.sampled_from(LOCI).map(lambda locus: {"carries": locus}),
    st.builds(
        lambda locus, kinds: {"genotype": locus, "is": sorted(kinds)},
        st.sampled_from(LOCI),
        st.sets(st.sampled_from(["none", "het", "hom", "hemi"]), min_size=1, max_size=2),
    ),
    st.sets(st.sampled_from(["*1/*1", "*1/*2", "*1/*3", "*2/*4", "*4/*4"]), min_size=1).map(
        lambda pairs: {"diplotype": "G1", "is": sorted(pairs)}
    ),
)
expressions = st.recursive(
    terms,
    lambda inner: st.one_of(
        inner.map(lambda term: {"not": term}),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)).map(lambda pair: {pair[0]: pair[1]}),
    ),
    max_leaves=6,
)


def pack_of(*asked):
    listed = [{"id": f"c{at}", "title": "C", "expression": expression} for at, expression in enumerate(asked)]
    return parse_pack(PACK | {"criteria": listed})


def as_call(code):
    first, second, phased = parts(code)
    return first, None if second == ONLY else second, phased


def said(pack, rows):
    """True, False or None of each criterion and person, by the program."""
    states = {locus: np.array([row[locus] for row in rows], np.uint8) for locus in LOCI}
    found = []
    for one, negated in zip(answer(pack, states, len(rows)), answer(negation(pack), states, len(rows)), strict=True):
        yes, no = set(one.matched.tolist()), set(negated.matched.tolist())
        assert one.unknown == negated.unknown == len(rows) - len(yes) - len(no)
        found.append([True if at in yes else False if at in no else None for at in range(len(rows))])
    return found


def negation(pack):
    from policies.criteria.expressions import as_dict  # noqa: PLC0415 - for this alone

    return pack_of(*({"not": as_dict(one.expression)} for one in pack.criteria))


@given(st.lists(expressions, min_size=1, max_size=3), people)
def test_everybody_is_answered_as_alone(asked, rows):
    pack = pack_of(*asked)
    calls = [{locus: as_call(row[locus]) for locus in LOCI} for row in rows]
    assert said(pack, rows) == [[one_by_one(pack, one.expression, person) for person in calls] for one in pack.criteria]


@given(expressions, people, st.data())
def test_calls_that_go_missing_never_turn_an_answer_round(expression, rows, data):
    pack = pack_of(expression)
    fewer = [row | dict.fromkeys(data.draw(st.sets(st.sampled_from(LOCI))), 0) for row in rows]
    for before, after in zip(said(pack, rows)[0], said(pack, fewer)[0], strict=True):
        assert after in (before, None) or before is None


def test_a_locus_without_calls_is_unknown_of_everybody():
    pack = pack_of({"carries": "a"}, {"and": [{"carries": "a"}, {"carries": "b"}]}, {"not": {"carries": "a"}})
    rows = [{"a": 0, "b": 1 * 5 + 2, "c": 6}] * 9 + [{"a": 0, "b": 6, "c": 6}]
    assert [
        (one.matched.tolist(), one.unknown)
        for one in answer(pack, {k: np.array([r[k] for r in rows], np.uint8) for k in LOCI}, 10)
    ] == [
        ([], 10),
        ([], 9),
        ([], 10),
    ]
