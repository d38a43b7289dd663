from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.outside import extra

ROOT = Path(__file__).resolve().parents[2]
# A finding must come back when the suite runs again, so the suite's walk starts from a fixed seed. For a walk of one's own:
# python -m tests.fuzz.readers vcf -max_total_time=600
SECONDS, SEED = 20, 1


@pytest.mark.long
@pytest.mark.parametrize("target", ["vcf", "wide", "packed", "bgzf", "bcf", "gvcf", "pvar", "loci"])
def test_a_reader_refuses_or_reads_and_agrees_with_htslib(tmp_path, target):
    extra("atheris")
    # A child starts with the peak of whoever forked it, which libFuzzer would take for the reader's own.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # MiB
    options = [f"-max_total_time={SECONDS}", f"-seed={SEED}", f"-artifact_prefix={tmp_path}/", "-max_len=4096", "-timeout=20"]
    options.append(f"-rss_limit_mb={inherited + 2048}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.readers", target, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
