from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of
from tests.support.vcf_text import genotypes
from vault.views.view import View


def view_of(rows):
    codes, escapes = calls_of(rows, len(rows[0]))
    sites = sites_of([("22", 5 + i, "A" + ",C" * 255) for i in range(len(rows))])
    return View(tuple(f"d1{i}" for i in range(len(rows[0]))), sites, codes, escapes, "GRCh38")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(genotypes(14), min_size=n, max_size=n), min_size=1, max_size=4)))
def test_alleles_and_phase_are_those_of_the_text(rows):
    view = view_of(rows)
    matrix, phased = view.genotypes, view.phased
    assert matrix.dtype == np.int8
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            alleles = [-1 if a == "." else int(a) for a in re.split(r"[/|]", text)]
            assert matrix[i, j].tolist() == alleles + [-2] * (matrix.shape[2] - len(alleles))
            assert phased[i, j] == ("|" in text and "/" not in text)


@pytest.mark.parametrize("allele", [127, 128, 200, 255])
def test_an_allele_over_127_stays_itself(allele):
    view = view_of([[f"0|{allele}", "0/1"]])
    assert view.genotypes.tolist() == [[[0, allele], [0, 1]]]


def test_a_call_that_was_not_assayed_is_missing():
    assert view_of([[None, "0|1"]]).genotypes.tolist() == [[[-1, -1], [0, 1]]]
