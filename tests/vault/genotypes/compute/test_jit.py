"""Kernels that are in the cache load without what numba needs to compile, and beside kernels that have to be compiled."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
import numpy as np
from vault.genotypes.compute import jit
from vault.extracts import vcf_kernels

out = np.zeros(16, np.uint8)
read_only = np.arange(8)
read_only.setflags(write=False)
calls = (np.array([0, 2]), np.array([0, 12], np.int16), np.array([0, 1], np.uint8))
for offset in (calls[0], read_only[:1]):
    vcf_kernels.escape_texts(offset, *calls[1:], out, np.zeros(2, np.int64))
print(bytes(out[:5]), "numba.typed.dictimpl" in sys.modules)
"""

COMPILED = """
jit._FOLDER = None

@jit.kernel(jit.types.int64(jit.RO(jit.types.int64)))
def total(values):
    found = 0
    for value in np.sort(values):
        found += value
    return found

print(total(read_only), "numba.typed.dictimpl" in sys.modules)
calls[1][1] = 7
vcf_kernels.escape_texts(*calls, out, np.zeros(2, np.int64))
print(bytes(out[:4]))
"""


def said(*code):
    done = subprocess.run([sys.executable, "-c", "".join(code)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_what_is_compiled_already_needs_no_compiler():
    said(LOADED)  # whatever the cache lacked
    assert said(LOADED) == ["b'\\t0|12' False"]


def test_a_kernel_can_be_compiled_beside_those_that_were_loaded():
    said(LOADED)
    assert said(LOADED, COMPILED) == ["b'\\t0|12' False", "28 True", "b'\\t0|7'"]
