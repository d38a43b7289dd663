"""Hidden places hold for every name of a contig, and for contigs that might hold what is hidden."""

from __future__ import annotations

import pytest

from policies.loci import END, Interval, Mask
from vault.views.hidden_places import HiddenPlaces

WHOLE = [[0], [END]]


def on(hidden, contig):
    return [bound.tolist() for bound in hidden.on(contig)]


@pytest.mark.parametrize("mask", ["19", "chr19", "NC_000019.10"])
@pytest.mark.parametrize("contig", ["19", "chr19", "NC_000019.10", "CM000681.2"])
def test_a_mask_holds_on_every_name_of_its_contig(mask, contig):
    hidden = HiddenPlaces((Interval(mask, 10, 20),), assembly="GRCh38")
    assert on(hidden, contig) == [[10], [20]]
    assert [hidden.hides(contig, *span) for span in ((1, 10), (1, 11), (20, 20), (21, 30))] == [False, True, True, False]


@pytest.mark.parametrize(
    "contig", ["NC_000019.9", "chr19_KI270938v1_alt", "HSCHR19LRC_COX1_CTG3_1", "GL000225.1", "chrUn_KI270742v1", "contig_7"]
)
def test_contigs_that_might_hold_what_is_hidden_are_hidden_whole(contig):
    assert on(HiddenPlaces((Interval("19", 10, 20),), assembly="GRCh38"), contig) == WHOLE
    assert on(HiddenPlaces(only=(Mask((Interval("19", 10, 20),)),), assembly="GRCh38"), contig) == WHOLE


def test_parts_of_other_chromosomes_are_shown():
    hidden = HiddenPlaces((Interval("19", 10, 20),), assembly="GRCh38")
    assert on(hidden, "HLA-A*01:01:01:01") == on(hidden, "chr6_GL000250v2_alt") == on(hidden, "20") == [[], []]
    assert on(HiddenPlaces((Interval("6", 10, 20),), assembly="GRCh38"), "HLA-A*01:01:01:01") == WHOLE


def test_without_masks_nothing_is_hidden():
    assert on(HiddenPlaces(assembly="GRCh38"), "contig_7") == [[], []]


def test_of_an_unknown_assembly_chromosomes_are_told_by_name():
    hidden = HiddenPlaces((Interval("19", 10, 20),), assembly="mine")
    assert on(hidden, "chr19") == [[10], [20]]
    assert on(hidden, "18") == [[], []]
    assert on(hidden, "NC_000019.10") == on(hidden, "scaffold_1") == WHOLE
