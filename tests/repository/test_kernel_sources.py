"""The name of the kernel cache covers every source that a compiled kernel depends on."""

from __future__ import annotations

import ast
from pathlib import Path

from vault.genotypes.compute.kernel_cache import kernel_sources

VAULT = Path(__file__).resolve().parents[2] / "vault"
JIT = VAULT / "genotypes" / "compute" / "jit.py"
CACHE = VAULT / "genotypes" / "compute" / "kernel_cache.py"  # decides where compiled kernels lie, not what they are


def imports(path: Path) -> set[Path]:
    """Modules of the vault that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vault"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = VAULT.parent / (name.replace(".", "/") + ".py")
                if file.exists():
                    found.add(file)
    return found


def test_kernels_and_all_that_they_import_are_in_the_digest():
    waiting = [path for path in VAULT.rglob("*.py") if JIT in imports(path)]
    assert len(waiting) > 8
    needed: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in needed and path != CACHE:
            needed.add(path)
            waiting.extend(imports(path))
    assert needed <= set(kernel_sources())


def test_every_kernel_is_compiled_in_one_way():
    for path in VAULT.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert path == JIT or "numba" not in names, path
