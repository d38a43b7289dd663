"""Sites and calls of a view as Python values, and as data frames."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of
from tests.support.vcf_text import genotypes
from vault.errors import InputError, UnavailableError
from vault.views.variants import Variant
from vault.views.view import View


def view_of(rows, alleles="A,C,GT"):
    codes, escapes = calls_of(rows, len(rows[0]))
    sites = sites_of([("22", 5 + i, alleles) for i in range(len(rows))])
    return View(tuple(f"d1{i}" for i in range(len(rows[0]))), sites, codes, escapes, "GRCh38")


def test_sites_are_text():
    view = view_of([["0/1"]])
    assert view.variants() == [Variant("22", 5, ".", "A", ("C", "GT"), view.sites.filters[0].decode())]
    assert view_of([["0/0"]], "A").variants()[0].alts == ()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(genotypes(14), min_size=n, max_size=n), min_size=1, max_size=4)))
def test_calls_are_those_of_the_text_for_each_person(rows):
    view = view_of(rows, "A" + ",C" * 255)
    for column, name in enumerate(view.pseudonyms):
        assert view.calls_of(name) == [row[column] for row in rows]


def test_a_call_that_is_absent_is_missing():
    assert view_of([[None, "0|1"]]).calls_of("d10") == ["./."]


def test_a_pseudonym_of_another_view_is_refused():
    with pytest.raises(InputError) as caught:
        view_of([["0/1"]]).calls_of("d19")
    assert caught.value.code == "pseudonym_unknown"


def test_a_view_is_a_data_frame_of_either_kind():
    rows = [["0/1", "1|1"], ["./.", "0"]]
    view = view_of(rows)
    filters = [text.decode() for text in view.sites.filters.items()]
    wanted = {
        "contig": ["22", "22"],
        "pos": [5, 6],
        "id": [".", "."],
        "ref": ["A", "A"],
        "alt": ["C,GT", "C,GT"],
        "filter": filters,
        "d10": ["0/1", "./."],
        "d11": ["1|1", "0"],
    }
    pandas, polars = view.to_pandas(), view.to_polars()
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    assert {name: pandas[name].tolist() for name in pandas} == wanted
    assert polars.to_dict(as_series=False) == wanted
    assert pandas["pos"].dtype == np.int64


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_without_the_library_the_extra_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnavailableError) as caught:
        getattr(view_of([["0/1"]]), f"to_{name}")()
    assert caught.value.code == "extra_missing"
    assert "frames" in caught.value.hint
