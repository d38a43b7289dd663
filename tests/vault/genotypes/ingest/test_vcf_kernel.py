from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.vcf_reading import batch_rows, our_rows, vcf_text
from tests.vault.genotypes.chunks import linked_codes, mixed_codes, packed_rows
from vault.errors import InputError
from vault.genotypes.codec.packed_calls import CODED
from vault.genotypes.ingest import gvcf_kernel_state, lines, vcf_kernel, vcf_kernel_state, vcf_refusals
from vault.genotypes.ingest.column_kernel import permute
from vault.genotypes.ingest.open_source import open_source
from vault.genotypes.ingest.text_kernel import gather

SEVENTY = " ".join(f"S{i}" for i in range(70))

PROGRAM = """
import sys
from vault.genotypes.ingest import vcf_kernel
from vault.genotypes.ingest.open_source import open_source
with open_source(sys.argv[1]) as source:
    print(sum(int(batch.codes.sum()) for batch in source.batches()))
kernel = vcf_kernel._parse_lines
print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()), len(kernel.signatures))
"""


def test_a_second_process_loads_the_kernel_from_the_cache(tmp_path):
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_text(["1 5 . A C . . . GT 0/1 1|1", "1 6 . A C . . . GT:DP 0/1:1 1|1:2"]))
    # This process compiled the kernel or loaded it when the module was imported, so the next one must find it.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    total, cache = done.stdout.split("\n")[:2]
    assert int(total) == 2 * (13 + 145)
    assert cache == "1 0 1"


def test_every_reason_for_refusal_has_a_text():
    texts = vcf_refusals._REASONS
    for module, first, last in ((vcf_kernel_state, vcf_kernel_state.BLANK_LINE, 40), (gvcf_kernel_state, 40, 60)):
        numbers = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, int)}
        assert {number for number in numbers if first <= number < last} == {number for number in texts if first <= number < last}


@pytest.mark.parametrize("samples", [1, 2, 31, 32, 33, 64, 65, 130])
@pytest.mark.parametrize("mark", ["|", "/"])
def test_rows_of_zeros_and_ones_are_packed_and_no_others(tmp_path, samples, mark):
    rng = np.random.default_rng(samples)
    calls = rng.integers(0, 2, (40, samples, 2)) * (rng.random((40, 1, 1)) < 0.7)
    texts = [[f"{a}{mark}{b}" for a, b in row] for row in calls.tolist()]
    packed = []
    for i, row in enumerate(texts):
        other = ["", "", ".", "2", f".{mark}.", "0", f"0{mark}2", "0/1/1", f"0{'/|'.replace(mark, '')}1"][i % 9]
        if other:
            row[int(rng.integers(samples))] = other
        packed.append(not other or (samples == 1 and i % 9 == 8))
    path = tmp_path / "in.vcf"
    lines = [f"1 {i + 1} . A C,G . . . GT {' '.join(row)}" for i, row in enumerate(texts)]
    path.write_bytes(vcf_text(lines, samples=" ".join(f"S{i}" for i in range(samples))))
    with open_source(path) as source:
        (batch,) = source.batches()
    assert [form != CODED for form in batch.rows.form.tolist()] == packed
    assert [row[-1] for row in batch_rows(batch)] == texts
    assert not (batch.rows.bits[batch.rows.form != CODED, -1] >> np.uint64(2 * ((samples - 1) % 32) + 1) >> np.uint64(1)).any()


def test_an_allele_that_the_line_lacks_is_refused_in_any_cell(tmp_path):
    path = tmp_path / "in.vcf"
    for place in (0, 40, 69):
        path.write_bytes(
            vcf_text([f"1 5 . A . . . . GT {' '.join(['0|0'] * place + ['0|1'] + ['0|0'] * (69 - place))}"], samples=SEVENTY)
        )
        with pytest.raises(InputError) as caught:
            our_rows(path)
        assert caught.value.code == "bad_genotype"
        assert f"column {10 + place}:" in caught.value.message


@pytest.mark.parametrize("n", [1, 5, 31, 32, 33, 70])
def test_chosen_columns_keep_their_form(n):
    rng = np.random.default_rng(n)
    codes = np.concatenate([linked_codes(rng, 30, n), linked_codes(rng, 10, n, phased=False), mixed_codes("missing", rng, 20, n)])
    rows = packed_rows(codes)
    for columns in (rng.permutation(n), rng.permutation(n)[: n // 2]):
        moved = permute(rows, columns)
        assert np.array_equal(moved.form, rows.form)
        assert np.array_equal(moved.matrix(), codes[:, columns])


def test_gather_takes_read_only_arrays():
    data, offsets = gather(np.frombuffer(b"abcdef", np.uint8), np.array([4, 1, 0]), np.array([6, 1, 2]))
    assert (data.tobytes(), offsets.tolist()) == (b"efab", [0, 2, 2, 4])


def test_the_kernel_stays_inside_its_buffer(tmp_path, monkeypatch):
    """Bytes behind the last newline never change the result: every block is read with hostile rubbish behind it."""
    body = [f"1 {i} . A C . . . {'GT' if i % 2 else 'GT:DP'} {'0|1 1|1' if i % 2 else '0|1:3 1|1:4'}" for i in range(1, 300)]
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_text(body))
    monkeypatch.setattr(lines, "_BLOCK", 200)
    original = vcf_kernel.parse_lines

    def poisoned(buf, stop, **rest):
        kept = buf[stop:].copy()
        buf[stop:] = ord("9")
        status = original(buf, stop, **rest)
        buf[stop:] = kept
        return status

    monkeypatch.setattr(vcf_kernel, "parse_lines", poisoned)
    with open_source(path) as source:
        assert np.concatenate([batch.codes for batch in source.batches()]).tolist() == [[134, 145]] * 299
