from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_command_reference_is_what_the_commands_say():
    environment = {**os.environ, "COLUMNS": "200", "GENOVAULT_HOME": "/elsewhere"}
    command = [sys.executable, "-m", "cli.reference"]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    assert made == (ROOT / "docs" / "commands.md").read_text(), "make docs"
