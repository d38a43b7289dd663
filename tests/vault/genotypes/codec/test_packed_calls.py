from __future__ import annotations

import numpy as np
import pytest

from tests.vault.genotypes.chunks import MIXES, mixed_codes, packed_rows
from vault.genotypes.codec.call_codes import diploid
from vault.genotypes.codec.packed_calls import CODED, CallRows, words_of


@pytest.mark.parametrize("kind", MIXES)
@pytest.mark.parametrize("n", [1, 32, 33])
def test_packed_rows_say_what_codes_say(kind, n):
    codes = mixed_codes(kind, np.random.default_rng(n), 20, n)
    rows = packed_rows(codes)
    assert np.array_equal(rows.matrix(), codes)
    assert np.array_equal(rows.run(5, 12).matrix(), codes[5:12])
    assert rows.run(5, 12).shape == (7, n)


def test_a_field_is_first_allele_then_second():
    rows = CallRows(np.array([1, 2], np.uint8), np.array([[0b10_01_11_00]] * 2, np.uint64), np.empty((2, 4), np.uint8))
    pairs = [(0, 0), (1, 1), (0, 1), (1, 0)]
    assert rows.matrix().tolist() == [[diploid(a, b, phased=phased) for a, b in pairs] for phased in (False, True)]


def test_rows_of_codes_are_those_codes():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    rows = CallRows.from_codes(codes)
    assert rows.matrix() is codes
    assert set(rows.form.tolist()) == {CODED}
    assert [words_of(n) for n in (0, 1, 32, 33)] == [0, 1, 1, 2]
