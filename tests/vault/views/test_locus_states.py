"""Loci as a view shows them: which record answers for an allele, and what is read where several do."""

import pytest

from policies.criteria.diplotypes import ALTERNATE, OTHER, REFERENCE, UNREAD
from policies.disclosure import alleles
from tests.support.vcf_text import vcf
from tests.support.views import view_of
from vault.views.locus_states import ONLY, locus_states, parts

UNTOLD = (UNREAD, UNREAD, False)


def states(allele, *records):
    """State of each person at one allele, in the records' order of people."""
    width = len(records[0].split()) - 4
    view = view_of(vcf(" ".join(f"P{at}" for at in range(width)), *records))
    return [parts(int(code)) for code in locus_states(view, {"x": alleles.parse(allele)})["x"]]


def test_each_call_is_read_as_far_as_it_goes():
    found = states("chr22:10:A:G", "22 10 A C,G 0/0 0/2 2|0 2/2 1/2 ./. ./2 0/. 0 2 . 0/0/2")
    assert found == [
        (REFERENCE, REFERENCE, False),
        (REFERENCE, ALTERNATE, False),
        (ALTERNATE, REFERENCE, True),
        (ALTERNATE, ALTERNATE, False),
        (ALTERNATE, OTHER, False),
        UNTOLD,
        (UNREAD, ALTERNATE, False),
        (UNREAD, REFERENCE, False),
        (REFERENCE, ONLY, False),
        (ALTERNATE, ONLY, False),
        (UNREAD, ONLY, False),
        UNTOLD,  # of three chromosomes
    ]


def test_an_allele_beyond_the_ninth_is_found_too():
    alts = ",".join("A" * at + "C" for at in range(1, 12)) + ",G"
    assert states("22:10:A:G", f"22 10 A {alts} 0/12 3/12 0|12 0/0") == [
        (REFERENCE, ALTERNATE, False),
        (ALTERNATE, OTHER, False),
        (REFERENCE, ALTERNATE, True),
        (REFERENCE, REFERENCE, False),
    ]


def test_an_allele_is_known_in_a_longer_spelling():
    assert states("22:11:A:G", "22 10 CAT CGT 0/1") == [(REFERENCE, ALTERNATE, False)]


def test_a_locus_that_the_view_does_not_have_is_unknown_and_never_reference():
    assert states("22:11:A:G", "22 10 A G 0/1 0/0") == [UNTOLD, UNTOLD]
    assert states("21:10:A:G", "22 10 A G 0/1 0/0") == [UNTOLD, UNTOLD]
    assert states("22:10:A:AT", "22 10 A G 0/0 0/1") == [UNTOLD, UNTOLD]  # a base tells nothing of an insertion behind it


def test_a_record_of_the_same_base_tells_reference_from_another_allele():
    assert states("22:10:A:G", "22 10 A C 0/0 0/1") == [(REFERENCE, REFERENCE, False), (REFERENCE, OTHER, False)]
    assert states("22:10:A:G", "22 10 AT A 0/0") == [UNTOLD]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_records_of_one_site_are_read_together(order):
    lines = "22 10 A G 0/0 0/0 0/1 0|1 1/1 0 ./.", "22 10 A C 0/0 0/1 0/1 0/1 0/0 1 0/1"
    assert states("22:10:A:G", *(lines[at] for at in order)) == [
        (REFERENCE, REFERENCE, False),
        (REFERENCE, OTHER, False),
        (ALTERNATE, OTHER, False),
        (ALTERNATE, OTHER, False),
        (ALTERNATE, ALTERNATE, False),
        (OTHER, ONLY, False),
        UNTOLD,
    ]


def test_records_that_contradict_each_other_tell_nothing():
    lines = "22 10 A G 0/0 0/1 ./. 0/1 0|1", "22 10 A G 0/1 0/1 1/1 ./. 1|0"
    assert states("22:10:A:G", *lines) == [
        UNTOLD,
        (REFERENCE, ALTERNATE, False),
        (ALTERNATE, ALTERNATE, False),
        (REFERENCE, ALTERNATE, False),
        (REFERENCE, ALTERNATE, True),
    ]
