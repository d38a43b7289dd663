"""Diplotypes of many people against every pair of chromosomes that one person may have, listed one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.criteria.diplotypes import ALTERNATE, OTHER, REFERENCE, UNREAD, ShownCall
from policies.criteria.packs import GeneHaplotypes
from tests.support.criteria_oracle import as_shown, one_of
from vault.views import locus_states
from vault.views.gene_answers import gene_rows

LOCI = ("a", "b", "c")


def holds(gene, pairs, person):
    """Whether one person has one of the pairs; between two others, whose calls are of every kind."""
    own = [call.first * 5 + call.second + (locus_states.PHASED if call.phased else 0) for call in person]
    rows = gene_rows(gene, {locus: np.array([6, code, 0], np.uint8) for locus, code in zip(gene.loci, own, strict=True)})
    return {0: None, 1: True, 2: False}[int(rows.truths(frozenset(pairs))[1])]


alleles = st.sampled_from([UNREAD, REFERENCE, REFERENCE, ALTERNATE, ALTERNATE, OTHER])
calls = st.fixed_dictionaries({locus: st.tuples(alleles, st.none() | alleles, st.booleans()) for locus in LOCI})
subsets = st.frozensets(st.sampled_from(LOCI), min_size=1)


@st.composite
def genes(draw):
    carried = [frozenset(LOCI), *draw(st.lists(subsets, max_size=4))]  # the first makes all loci the gene's
    named = {"*1": frozenset[str]()} | {f"*{at}": loci for at, loci in enumerate(dict.fromkeys(carried), 2)}
    return GeneHaplotypes("G", "*1", named)


@st.composite
def asked(draw):
    gene = draw(genes())
    names = st.sampled_from(sorted(gene.haplotypes))
    return gene, draw(st.sets(st.tuples(names, names).map(lambda pair: tuple(sorted(pair))), min_size=1))


@given(asked(), calls)
def test_it_is_told_exactly_where_all_pairs_that_the_calls_allow_agree(question, person):
    gene, pairs = question
    assert holds(gene, pairs, as_shown(person, gene.loci)) is one_of(gene, pairs, person)


@given(asked(), calls, st.data())
def test_a_call_that_goes_missing_never_turns_an_answer_round(question, person, data):
    gene, pairs = question
    before = holds(gene, pairs, as_shown(person, gene.loci))
    lost = data.draw(st.sampled_from(LOCI))
    first, second, phased = person[lost]
    fewer = data.draw(
        st.sampled_from([(UNREAD, UNREAD, False), (UNREAD, second, phased), (first, UNREAD, phased), (first, second, False)])
    )
    after = holds(gene, pairs, as_shown(person | {lost: fewer}, gene.loci))
    assert after in (before, None) or before is None


TPMT = GeneHaplotypes("TPMT", "*1", {"*1": frozenset(), "*3A": frozenset("ab"), "*3B": frozenset("a"), "*3C": frozenset("b")})
HET, PHASED = ShownCall(REFERENCE, ALTERNATE), ShownCall(REFERENCE, ALTERNATE, phased=True)


@pytest.mark.parametrize(
    ("pairs", "person", "expected"),
    [
        ([("*1", "*3A")], [HET, HET], None),  # or *3B/*3C, which has no good copy
        ([("*1", "*3A")], [PHASED, PHASED], True),
        ([("*3B", "*3C")], [PHASED, PHASED], False),
        ([("*1", "*3A"), ("*3B", "*3C")], [HET, HET], True),
        ([("*1", "*3A")], [HET, ShownCall(UNREAD, UNREAD)], None),
        ([("*1", "*1")], [HET, ShownCall(UNREAD, UNREAD)], False),
        ([("*1", "*3B")], [HET, ShownCall(REFERENCE, OTHER)], None),  # no haplotype of the gene: what it is nobody knows
    ],
)
def test_without_phase_two_copies_are_not_told_from_one(pairs, person, expected):
    assert holds(TPMT, pairs, person) is expected


def test_a_combination_that_no_haplotype_has_is_not_thought_of():
    """As those who define haplotypes do: two variants that never came on one chromosome lie on two."""
    two = GeneHaplotypes("G", "*1", {"*1": frozenset(), "*2": frozenset("a"), "*17": frozenset("b")})
    assert holds(two, [("*17", "*2")], [HET, HET]) is True
