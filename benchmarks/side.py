"""One side of ``signed_books.py``: a process that runs command lines and views of whichever genovault it was started with, timed.

Reads one JSON document a line and answers each with one: ``{"command": [ARGUMENT, …]}`` runs a command line in this process;
``{"open": FOLDER}`` opens a vault and closes it; ``{"view": FOLDER, "asked": {…}, "times": n}`` asks one open vault the same view n
times; ``{"projects": FOLDER, "texts": [YAML, …]}`` declares projects in one open vault. Answers hold ``wall`` and ``cpu``, lists of
seconds (processor time with that of ended children), and what was printed.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEY_FILE = Path(sys.argv[1])


def processor_seconds() -> float:
    """Processor time of this process and its ended children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(act: Callable[[], Any], times: int = 1) -> dict[str, list[float]]:
    """Seconds of each run, without the collector of rubbish."""
    found: dict[str, list[float]] = {"wall": [], "cpu": []}
    for _ in range(times):
        gc.collect()
        gc.disable()
        cpu, wall = processor_seconds(), time.perf_counter()
        act()
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(processor_seconds() - cpu)
        gc.enable()
    return found


def command(asked: dict[str, Any]) -> dict[str, Any]:
    """Run a command line; one that fails is an error of the benchmark."""
    from cli.main import run

    printed, complained, codes = io.StringIO(), io.StringIO(), []
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        taken = timed(lambda: codes.append(run(["--key-file", str(KEY_FILE), *asked["command"]])))
    if codes != [0]:
        raise RuntimeError(f"{asked['command'][:2]} ended with {codes}: {complained.getvalue()[-400:]}")
    return {**taken, "printed": printed.getvalue()}


def opening(asked: dict[str, Any]) -> dict[str, Any]:
    """Unlock, open and close."""
    import vault

    opened: list[Any] = []
    taken = timed(lambda: opened.append(vault.open(asked["open"], key_file=KEY_FILE)))
    opened[0].close()
    return taken


def viewing(asked: dict[str, Any]) -> dict[str, Any]:
    """Views one after another by one open vault, as an engine asks them."""
    import vault

    with vault.open(asked["view"], key_file=KEY_FILE) as opened:
        opened.view(**asked["asked"])
        return timed(lambda: opened.view(**asked["asked"]), asked["times"])


def declaring(asked: dict[str, Any]) -> dict[str, Any]:
    """Projects declared in one session: whatever else is measured, the books are to hold many signed rows."""
    import yaml

    from vault.access import projects
    from vault.crypto.keystore import KeyFileFactor
    from vault.session.unlocked_vault import open_vault

    opened = open_vault(Path(asked["projects"]), factor=KeyFileFactor.from_file(KEY_FILE))
    try:
        texts = iter(asked["texts"])
        return timed(lambda: projects.create(opened, yaml.safe_load(next(texts))), len(asked["texts"]))
    finally:
        opened.close()


ACTS = {"command": command, "open": opening, "view": viewing, "projects": declaring}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever is printed besides must not be taken for an answer
    for line in sys.stdin:
        asked = json.loads(line)
        act = ACTS[next(name for name in ACTS if name in asked)]
        answers.write(json.dumps(act(asked)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
