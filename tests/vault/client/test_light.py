"""The client runs where no vault is: importing it, and reading with it, loads neither keys nor databases nor kernels."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import vault
vault.connect("https://vault.example", token="gvt_x").close()
import vault.client.panel_mirror, vault.client.arrow_reading
vault.client.arrow_reading._pyarrow()
heavy = ("cryptography", "sqlalchemy", "numba", "pydantic", "fastapi", "vault.crypto", "vault.storage", "vault.session", "vault.api", "policies")
print([name for name in heavy if name in sys.modules])
"""


def test_nothing_of_a_vault_is_loaded():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
