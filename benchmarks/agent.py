"""Time of small commands with an unlock agent and without: the whole process, from its start to its end.

python -m benchmarks.agent
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from tests.support import vaults
from tests.support.agents import desk

LINES = (("status",), ("project", "list"), ("consent", "explain", "S03", "--project", "demo"), ("subject", "show", "S03"))
ROUNDS = 15


def main() -> None:
    """Print a table; with and without in turn, so that other work on the machine meets both."""
    with tempfile.TemporaryDirectory() as folder, desk(Path(folder)) as at:
        at.unlock()
        print("| command | with, p50 (worst), s | without, p50, s |\n|---|---|---|")
        for line in LINES:
            took: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(ROUNDS):
                for through in (True, False):
                    environment = {} if through else {"GENOVAULT_PASSPHRASE": vaults.PASSPHRASE}
                    begun = time.perf_counter()
                    ran = at.run(*line, **environment)
                    took[through].append(time.perf_counter() - begun)
                    if ran.returncode != 0:
                        raise SystemExit(ran.stderr)
            there, here = sorted(took[True]), statistics.median(took[False])
            print(f"| `{' '.join(line)}` | {statistics.median(there):.2f} ({there[-1]:.2f}) | {here:.2f} |")


if __name__ == "__main__":
    main()
