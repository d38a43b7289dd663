"""Settings of the whole suite, and its kernels compiled before its processes need them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support import compiled_once, memory_folder
from vault.access import told
from vault.genotypes.compute import kernel_cache

# Property tests judge what the code answers, not how soon: another program on the machine must not fail them.
settings.register_profile("genovault", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A gate says that an example fails and how to run it again: making it small may take five minutes, which are the reader's to spend.
settings.register_profile(
    "genovault-gate", settings.get_profile("genovault"), phases=set(Phase) - {Phase.shrink, Phase.explain}, print_blob=True
)
settings.load_profile("genovault-gate" if os.environ.get("CI") else "genovault")

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    told.sleep = lambda _seconds: None  # a refusal's wait is tested by itself
    memory_folder.use()
    compiled_once.share()
    gc.disable()  # nothing that is imported or collected goes away
    processes = getattr(config.option, "numprocesses", None)
    if processes and not hasattr(config, "workerinput"):
        compile_kernels(processes)


def pytest_collection_finish() -> None:
    """Leave modules and collected tests out of garbage collections: they stay until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)  # a full one looks at all that tests keep, up to a second each time
    gc.enable()


def compile_kernels(processes: int) -> None:
    """Fill an empty cache of kernels, each process a share of them: else every worker would compile them all."""
    folder = kernel_cache.cache_folder(kernel_cache.versions())
    if folder is None or any(folder.iterdir()):
        return
    sources = sorted(kernel_cache.kernel_sources(), key=lambda path: path.stat().st_size)
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources if path.stem != "__init__"]
    shares = [names[first::processes] for first in range(processes)]
    running = [subprocess.Popen([sys.executable, "-c", f"import {', '.join(share)}"], cwd=ROOT) for share in shares if share]
    for process in running:
        process.wait()
