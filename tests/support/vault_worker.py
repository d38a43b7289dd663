"""A program that holds one vault open and does what it is told on stdin, one JSON document to a line; its answers go to stdout.

    {"do": NAME, …}  →  {"ok": …} or {"error": CODE, "kind": CLASS}

``Worker`` is the other end: a process of its own, told something by ``tell`` and heard by ``hear``, so that two of them overlap.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from policies.consent import Status
from policies.purposes import RequestKind
from tests.support.vcf_reading import text_rows
from vault import gate
from vault.access import projects, requests
from vault.audit.receipt import Receipt
from vault.consent import recording
from vault.crypto.keystore import Branch, KeyFileFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, UnavailableError
from vault.genotypes import import_job
from vault.operations import key_rotation
from vault.operations.erasure import process
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault

PROJECT, DATASET, FORM = "demo", "cohort", "broad-research"
LOCKED = 6  # exit code of a worker that may not sign any more
ROOT = Path(__file__).resolve().parents[2]

Rows = dict[str, dict[str, int]]  # of a release: pseudonym -> position -> ALT alleles carried


def key_of(principal: str) -> KeyFileFactor:
    """The key file of a principal of these tests."""
    return KeyFileFactor(Secret(principal.encode().ljust(32, b".")))


def _view(s: UnlockedVault, regions: list[str]) -> dict[str, Any]:
    view = gate.view(s, project=PROJECT, dataset=DATASET, regions=regions)
    carried = (view.genotypes > 0).sum(axis=2)
    positions = [str(position) for position in view.sites.pos]
    rows = {name: dict(zip(positions, carried[:, column].tolist(), strict=True)) for column, name in enumerate(view.pseudonyms)}
    return {"rows": rows, "sites": positions, "entry": Receipt.from_text(view.receipt).index}


def _extract(s: UnlockedVault, regions: list[str]) -> dict[str, Any]:
    spec = requests.Spec(regions=tuple(regions))
    request = requests.submit(s, PROJECT, DATASET, kind=RequestKind.RECORDS, spec=spec)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        release = gate.extract(s, request.request_id, out)
        text = gzip.decompress((out / "genotypes.vcf.gz").read_bytes()).decode()
    (header,) = [line.split("\t") for line in text.splitlines() if line.startswith("#CHROM")]
    found: Rows = {name: {} for name in header[9:]}
    records = text_rows(text)
    for _, position, _, _, _, _, calls in records:
        for name, call in zip(header[9:], calls, strict=True):
            found[name][position] = sum(allele not in {"0", "."} for allele in call.replace("|", "/").split("/"))
    return {"rows": found, "sites": [record[1] for record in records], "entry": release.outcome_index}


def _show(s: UnlockedVault, who: str) -> list[bool]:
    standing = recording.history(s, who).standing
    return [bool(standing.grants), standing.restricted]


def _load(s: UnlockedVault, path: str) -> None:
    options = import_job.ImportOptions(append=True, unknown="register")
    import_job.import_files(s, [Path(path)], name=DATASET, assembly="GRCh38", options=options)


def _add(s: UnlockedVault, name: str, role: str) -> None:
    principals.add(s, name, Role(role), key_of(name), profile=Argon2Profile.TEST_ONLY)


ACTS: dict[str, Callable[..., Any]] = {
    "accept": lambda s, who: recording.record(s, who, FORM, {"research_use": "yes"}).event.seq,
    "decline": lambda s, who: recording.record(s, who, FORM, {"research_use": "no"}).event.seq,
    "withdraw": lambda s, who: recording.withdraw(s, who).event_id,
    "exclude": lambda s, who, place: recording.withdraw(s, who, scope=f"loci:{place}").event_id,
    "restrict": lambda s, who: recording.note(s, who, Status.RESTRICTED) and None,
    "lift": lambda s, who: recording.note(s, who, Status.RESTRICTION_LIFTED) and None,
    "erase": lambda s, who: process.erase(s, who).erasure_id,
    "load": _load,
    "approve": lambda s: projects.change(s, PROJECT, "approve").revision,
    "suspend": lambda s: projects.change(s, PROJECT, "suspend").revision,
    "rotate": lambda s, branch: key_rotation.rotate(s, [Branch(branch)]),
    "add": _add,
    "disable": principals.disable,
    "show": _show,
    "check": lambda s: gate.check(s, PROJECT).permit,
    "view": _view,
    "extract": _extract,
}


class Worker:
    """A process that holds a vault open as somebody."""

    def __init__(self, vault: Path, principal: str) -> None:
        command = [sys.executable, "-m", "tests.support.vault_worker", str(vault), principal]
        self.principal = principal
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def tell(self, command: dict[str, Any]) -> None:
        """Give it something to do; it begins at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """What became of it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the process of {self.principal} ended with {self._process.wait(30)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> int:
        """Let it close its vault; its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        code = self._process.wait(60)
        self._process.stdout.close()
        return code


def main() -> None:
    """Read commands until stdin ends."""
    folder, principal = Path(sys.argv[1]), sys.argv[2]
    s = open_recovered(folder, factor=key_of(principal), principal=principal)
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        try:
            if name == "reopen":
                s.close()
                s = open_recovered(folder, factor=key_of(principal), principal=principal)
                answer: dict[str, Any] = {"ok": None}
            else:
                answer = {"ok": ACTS[name](s, **command)}
        except GenovaultError as error:
            answer = {"error": error.code, "kind": type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    try:
        s.close()
    except UnavailableError:  # its slot was removed meanwhile
        sys.exit(LOCKED)


if __name__ == "__main__":
    main()
