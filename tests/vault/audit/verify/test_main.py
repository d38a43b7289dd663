"""The command ``python -m vault.audit.verify``."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import vault.audit.verify
from tests.support.log_verification import KEY
from vault.audit.verify.__main__ import main


class TestCommand:
    def test_the_module_runs_by_itself(self, export):
        command = [sys.executable, "-P", "-m", "vault.audit.verify", str(export), "--key", KEY, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4])
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert (document["ok"], document["entries"], document["key_given"]) == (True, 590, True)

    def test_exit_codes(self, export, tmp_path, capsys):
        key = tmp_path / "key"
        key.write_text(KEY + "\n")
        assert main([str(export), "--key", str(key)]) == 0
        assert main([str(export)]) == 0
        assert "not independently trusted" in capsys.readouterr().out
        (export / "tile/0/001").write_bytes(bytes(8192))
        assert main([str(export), "--key", KEY]) == 5
        assert "does NOT hold" in capsys.readouterr().out
        assert main([str(tmp_path / "nowhere")]) == 4

    def test_it_imports_nothing_of_the_writer(self):
        trees = [ast.parse(path.read_text()) for path in sorted(Path(vault.audit.verify.__file__).parent.glob("*.py"))]
        found = {node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        others = {name for name in found if name.startswith("vault") and not name.startswith("vault.audit.verify.")}
        assert len(trees) > 8
        assert others == {"vault.crypto.primitives", "vault.errors"}
