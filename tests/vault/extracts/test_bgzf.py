from __future__ import annotations

import gzip
import io
import random
import subprocess

import numpy as np
import pysam
import pytest

from tests.support.outside import tool
from vault.extracts import bgzf

BLOCK = bgzf.BLOCK_BYTES


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("kind", ["text", "noise"])
def test_what_is_written_is_read_back(tmp_path, size, kind):
    data = b"0|0\t0|1\t" * (size // 8) + b"x" * (size % 8) if kind == "text" else random.Random(size).randbytes(size)
    out = io.BytesIO()
    bgzf.write_whole(out, data)
    path = tmp_path / "data.gz"
    path.write_bytes(out.getvalue())
    assert gzip.decompress(out.getvalue()) == data
    assert subprocess.run([tool("bgzip"), "-dc", path], capture_output=True, check=True).stdout == data
    subprocess.run([tool("bgzip"), "--test", path], check=True)


def test_noise_is_stored_within_the_limit_of_a_member():
    run = bgzf.compress(memoryview(random.Random(1).randbytes(2 * BLOCK)))
    assert np.diff(run.starts).tolist() == [BLOCK + 31, BLOCK + 31]


def test_virtual_offsets_lead_back_to_the_text(tmp_path):
    data = b"".join(b"%d\n" % i for i in range(60_000))
    first, run = bgzf.compress(memoryview(b"header\n")), bgzf.compress(memoryview(data))
    path = tmp_path / "data.gz"
    path.write_bytes(first.data + run.data + bgzf.EOF_BLOCK)
    positions = np.array([0, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, len(data) - 2])
    with pysam.BGZFile(str(path)) as file:
        for position, offset in zip(positions.tolist(), run.virtual(positions, len(first.data)).tolist(), strict=True):
            file.seek(offset)
            assert file.read(2) == data[position : position + 2]
