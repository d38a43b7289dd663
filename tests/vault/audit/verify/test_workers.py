"""Worker processes: the same findings as without them."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.log_verification import KEY
from vault.audit.verify import run, verify_folder, workers


class TestParallel:
    def test_several_processes_find_the_same(self, export, monkeypatch):
        bundle = export / "tile/entries/001"
        bundle.write_bytes(bundle.read_bytes().replace(b'"ann"', b'"bob"', 1))
        alone = verify_folder(export, KEY)
        monkeypatch.setattr(run, "PARALLEL_FROM", 1)
        monkeypatch.setattr(workers.os, "cpu_count", lambda: 2)
        monkeypatch.setattr(run, "CHUNKS_AT_ONCE", 1)
        assert verify_folder(export, KEY) == alone
        assert alone.first_bad == 256

    def test_helpers_are_other_processes_that_can_be_done_without(self):
        helpers = workers._Helpers()
        assert helpers.run(eval, "os.getpid()") != os.getpid()
        assert helpers.run(eval, f"os.getpid() != {os.getpid()} and os._exit(1)") is False  # it has gone, so it was done here
        assert helpers.run(eval, "os.getpid()") == os.getpid()
        helpers.end()

    def test_a_helper_loads_the_verifier_alone(self):
        helpers = workers._Helpers()
        loaded = helpers.run(eval, "[name for name in sys.modules if name.startswith('vault.')]")
        helpers.end()
        other = {name for name in loaded if not name.startswith("vault.audit.verify")}
        assert other == {
            "vault.audit",
            "vault.crypto",
            "vault.crypto.primitives",
            "vault.crypto.secret",
            "vault.errors",
            "vault.limits",
        }

    def test_the_command_has_helpers_too(self, export):
        program = (
            "import os, runpy, sys; from vault.audit.verify import leaves, run;"
            "run.PARALLEL_FROM = 1; os.cpu_count = lambda: 2;"
            "leaves._examine = None;"  # an entry examined in this process would fail
            "runpy.run_module('vault.audit.verify', run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(export), "--key", KEY],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything holds"), done.stderr
