"""Cost of delivery: an extract that is sealed to a recipient beside the same one in the clear, and the whole route beside the usual tools.

    python -m benchmarks.delivery [--work FOLDER] [--scale 1] [--rounds 5] [--formats vcf bcf]

D1, all sites of half the people, who alone consent. *Sealed over plain*: ``gate.extract`` in one process, the two in turn, everything included
(decision, log, fsync, receipt). *Whole route*: ``genovault extract`` from the shell with a key file, beside
``bcftools view -S half -c 1 | bcftools annotate -x … | crypt4gh encrypt``, which decides and logs nothing; bcftools with two threads. Sites and
allele counts of what comes out are compared, and a difference stops the run. Needs bcftools, bgzip, msprime and the crypt4gh of PyPI.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import yaml

from benchmarks.cohorts import bcf, cohort
from benchmarks.timing import run
from policies.declarations import project_template
from policies.purposes import RequestKind
from vault import gate
from vault.access import projects, recipients, requests
from vault.consent import recording
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.key_agreement import ExchangeKey
from vault.crypto.keystore import KeyFileFactor
from vault.crypto.secret import Secret
from vault.extracts.crypt4gh_reading import read_sealed
from vault.extracts.genotype_files import FileChoice, Format
from vault.genotypes import import_job
from vault.operations.create import init
from vault.session.unlocked_vault import UnlockedVault, open_vault

FORM = "broad-research"
GENOTYPES = {"vcf": "genotypes.vcf.gz", "bcf": "genotypes.bcf"}
CLIENT = [sys.executable, "-m", "crypt4gh"]
KEY = ExchangeKey(Secret(bytes(range(32))))  # the recipient's


class DifferentError(Exception):
    """The two sides gave different sites or counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "genovault" / "benchmarks")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", nargs="+", choices=get_args(Format), default=["vcf", "bcf"])
    options = parser.parse_args()
    vcf = cohort("D1", options.work, scale=options.scale)
    source = bcf(vcf)
    place = options.work / f"delivery-{options.scale:g}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    half = half_of(source, place)
    vault = vault_of(place, vcf, half)
    asked = {code: _ask(vault, code) for code in ("plain", "sealed")}
    print(f"{len(half)} people; load {os.getloadavg()[0]:.1f}")
    for file_format in options.formats:
        _report(f"sealed over plain, {file_format}", *_in_process(vault, place, asked, FileChoice(file_format), options.rounds))
    vault.close()
    _report("whole route over bcftools | bcftools | crypt4gh, vcf", *_whole_route(place, source, asked["sealed"], options.rounds))


def _in_process(
    vault: UnlockedVault, place: Path, asked: dict[str, str], chosen: FileChoice, rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of sealed and of plain extracts, in turn; one of each beforehand is not counted."""
    taken: dict[str, list[float]] = {"sealed": [], "plain": []}
    for number in range(rounds + 1):
        for code, found in taken.items():
            out = place / "out"
            started = time.perf_counter()
            gate.extract(vault, asked[code], out, chosen)
            found.append(time.perf_counter() - started)
            if number == 0 and code == "sealed":
                print(f"  {chosen.file_format}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.1f} MB")
            shutil.rmtree(out)
    return taken["sealed"][1:], taken["plain"][1:]


def _whole_route(place: Path, source: Path, request: str, rounds: int) -> tuple[list[float], list[float]]:
    genovault = [Path(sys.executable).with_name("genovault"), "--vault", place / "v", "--key-file", place / "key"]
    peer = place / "peer.vcf.gz.c4gh"
    fields = "ID,FILTER,^INFO/AC,INFO/AN,^FORMAT/GT"
    route = (
        f"set -o pipefail; bcftools view --no-version -S {place / 'half.txt'} -c 1 -Ou {source} | "
        f"bcftools annotate --no-version --threads 2 -x {fields} -Oz | "
        f"{' '.join(CLIENT)} encrypt --recipient_pk {place / 'lab.pub'} > {peer}"
    )
    ours, theirs = [], []
    for _ in range(rounds):
        out = place / "route"
        ours.append(run([*genovault, "extract", request, "--output", out]).wall)
        theirs.append(run(["bash", "-c", route]).wall)
        digests = {_counts(out / f"{GENOTYPES['vcf']}.c4gh"), _counts(peer)}
        if len(digests) != 1:
            raise DifferentError("the two sides gave different sites or counts")
        shutil.rmtree(out)
    return ours, theirs


def _counts(path: Path) -> str:
    """Digest of the sites and allele counts of a sealed VCF."""
    query = ["bcftools", "query", "-f", "%CHROM %POS %REF %ALT %AC %AN\n", "-"]
    with path.open("rb") as file:
        plain = b"".join(read_sealed(file, KEY))
    return hashlib.sha256(subprocess.run(query, input=plain, capture_output=True, check=True).stdout).hexdigest()


def half_of(source: Path, place: Path) -> list[str]:
    names = subprocess.run(["bcftools", "query", "-l", source], capture_output=True, check=True, text=True).stdout.split()
    (place / "half.txt").write_text("".join(f"{name}\n" for name in names[::2]))
    return names[::2]


def vault_of(place: Path, vcf: Path, half: Sequence[str]) -> UnlockedVault:
    """A vault of the cohort in which half the people consent, and a recipient ``lab``."""
    key = place / "key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o600)
    factor = KeyFileFactor.from_file(key)
    init(place / "v", steward="bench", factor=factor)
    vault = open_vault(place / "v", factor=factor)
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(vault, [vcf], name="cohort", assembly="GRCh38", options=options)
    header, rows = recording.blank_sheet(vault, FORM, accept=True)
    text = io.StringIO()
    csv.writer(text).writerows([header, *_answers(rows, set(half))])
    recording.import_answers(vault, text.getvalue().encode(), FORM)
    (place / "lab.pub").write_text(public_key_armour(KEY.public))
    recipients.add(vault, "lab", (place / "lab.pub").read_bytes())
    recipients.confirm(vault, "lab", fingerprint(KEY.public))
    return vault


def _answers(rows: Sequence[Sequence[str]], half: set[str]) -> Iterator[Sequence[str]]:
    return (row for row in rows if row[0].removeprefix("sample:") in half)


def _ask(vault: UnlockedVault, code: str) -> str:
    """A request for everything, of a project that has its extracts sealed, or not."""
    declared = yaml.safe_load(project_template(code, "cohort"))
    projects.create(vault, declared | ({"recipients": [{"name": "lab"}]} if code == "sealed" else {}))
    projects.change(vault, code, "approve")
    return requests.submit(vault, code, "cohort", kind=RequestKind.RECORDS, spec=requests.Spec()).request_id


def _report(what: str, ours: list[float], theirs: list[float]) -> None:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    shown = [f"{statistics.median(values):.3f} s" for values in (ours, theirs)]
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"{what}: {shown[0]} and {shown[1]}, ratio {statistics.median(ratios):.3f} ({spread})")


if __name__ == "__main__":
    main()
