from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from tests.support.vcf_reading import vcf_text
from vault.genotypes.ingest import vcf, vcf_kernel
from vault.genotypes.ingest.source import open_source

PROGRAM = """
import sys
from vault.genotypes.ingest import vcf_kernel
from vault.genotypes.ingest.source import open_source
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
    numbers = {name: value for name, value in vars(vcf_kernel).items() if name.isupper() and isinstance(value, int)}
    errors = {value for name, value in numbers.items() if vcf_kernel.BLANK_LINE <= value < 100 and not name.startswith("_")}
    assert errors == set(vcf._REASONS)


def test_permute_and_gather_take_read_only_arrays():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    codes.flags.writeable = False
    assert vcf_kernel.permute(codes, np.array([3, 0])).tolist() == [[3, 0], [7, 4], [11, 8]]
    data, offsets = vcf_kernel.gather(np.frombuffer(b"abcdef", np.uint8), np.array([4, 1, 0]), np.array([6, 1, 2]))
    assert (data.tobytes(), offsets.tolist()) == (b"efab", [0, 2, 2, 4])


def test_the_kernel_stays_inside_its_buffer(tmp_path, monkeypatch):
    """Bytes behind the last newline never change the result: every block is read with hostile rubbish behind it."""
    lines = [f"1 {i} . A C . . . {'GT' if i % 2 else 'GT:DP'} {'0|1 1|1' if i % 2 else '0|1:3 1|1:4'}" for i in range(1, 300)]
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_text(lines))
    monkeypatch.setattr(vcf, "_BLOCK", 200)
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
