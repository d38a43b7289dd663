"""Times of counts, presence, matching, streams and views of regions where the decision is kept, beside the same where it is made anew.

    python -m benchmarks.asked_again [--people 2504] [--sites 1500] [--rounds 20]

A vault of made-up people who all agree, one panel of 100 of its sites, a pack of 100 criteria over them, and a service that asks for a researcher.
Each round asks each question twice, in turn: with the decision kept, and after all decisions and what was opened under them were let go of, which
is what every question took before. Decision classes, part readers and tables of carriers are warm in both. Medians of the wall and of processor time;
the ratio is of processor time, which other work moves less. Beside them what bare SQLite makes of durable commits here.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.counts import commits, position, told
from policies.declarations import project_template
from policies.disclosure.budgets import BudgetScope
from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import access_tokens, criteria_packs, projects
from vault.access.disclosure import raises
from vault.access.stream_tickets import StreamAsked
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.extracts.stream_format import StreamFormat
from vault.files.csv_sheets import write_sheet
from vault.files.yaml_documents import parse_yaml
from vault.gate import frozen_decisions
from vault.genotypes import import_job
from vault.genotypes.catalog import datasets, panel_builder, panels
from vault.genotypes.loci import parse_loci
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault, open_vault

FACTOR, SERVICE = (PassphraseFactor.from_text(text) for text in ("correct horse canary staple", "passphrase of the service"))
PANEL, CRITERIA = 100, 100
Taken = list[tuple[float, float]]
"""Milliseconds of the wall and of the processor."""


def made(folder: Path, people: int, sites: int) -> str:
    """The vault; the researcher's token."""
    init(folder / "v", steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY)
    vault = open_recovered(folder / "v", factor=FACTOR, principal="ann")
    _write(folder / "in.vcf", people, sites)
    options = import_job.ImportOptions(unknown="register")
    import_job.import_files(vault, [folder / "in.vcf"], name="cohort", assembly="GRCh38", options=options)
    header, rows = recording.blank_sheet(vault, "clinical-matching", accept=True)
    sheet = io.StringIO()
    write_sheet(sheet, columns=header, rows=rows)
    recording.import_answers(vault, sheet.getvalue().encode(), "clinical-matching")
    principals.add(vault, "service", Role.SERVICE, SERVICE, profile=Argon2Profile.TEST_ONLY)
    principals.add(vault, "rita", Role.RESEARCHER, None)
    document = parse_yaml(project_template("asked", "cohort").encode(), name="template")
    document["purpose"] |= {"action": "matching"}
    projects.create(vault, document | {"people": ["rita"], "kinds": ["records", "counts", "presence", "matching"]})
    projects.change(vault, "asked", "approve")
    for scope in BudgetScope:
        raises.raise_budget(vault, "asked", "100", reason="a benchmark", scope=scope)
    dataset, places = datasets.by_name(vault, "cohort"), [position(at) for at in range(0, sites, max(1, sites // PANEL))][:PANEL]
    loci = "contig\tpos\tref\talt\n" + "".join(f"22\t{at}\tA\tG\n" for at in places)
    panel = panels.create(vault, "pgx", parse_loci(loci.encode(), name="loci"), dataset_id=dataset.dataset_id)
    panel_builder.build(vault, dataset, panel)
    criteria_packs.add(vault, _pack(places))
    criteria_packs.approve(vault, "asked@1")
    expires = vault.clock() + timedelta(days=1)
    token, _ = access_tokens.issue(vault, "rita", project="asked", scopes=(TokenScope.STREAM,), expires=expires)
    vault.close()
    return token.reveal().decode()


def _write(path: Path, people: int, sites: int) -> None:
    draw, spelled = np.random.default_rng(1), np.array(["0/0", "0/1", "1/1"])
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT")
        file.write("".join(f"\tP{at:05}" for at in range(people)) + "\n")
        for at in range(sites):
            calls = spelled[draw.binomial(2, draw.beta(0.2, 2), people)]
            file.write(f"22\t{position(at)}\t.\tA\tG\t.\tPASS\t.\tGT\t" + "\t".join(calls) + "\n")


def _pack(places: list[int]) -> dict[str, Any]:
    loci = {f"l{at}": f"22:{place}:A:G" for at, place in enumerate(places)}
    asked = [
        {"or": [{"carries": f"l{at}"}, {"genotype": f"l{(at + 13) % len(places)}", "is": ["hom"]}]} for at in range(CRITERIA)
    ]
    criteria = [{"id": f"c{at}", "title": "C", "expression": one} for at, one in enumerate(asked)]
    own = {"name": "asked", "version": 1, "source": "made up", "panel": "pgx", "assembly": "GRCh38"}
    return own | {"loci": loci, "genes": {}, "criteria": criteria}


def questions(service: UnlockedVault, token: str, sites: int) -> Iterator[tuple[str, Callable[[], object], Callable[[], None]]]:
    """Questions by name: how each is asked, and what is done behind it, which is not timed."""
    who, alleles = access_tokens.authenticate(service, token), count()
    rita = service.acting(who.person)
    middle = position(sites // 2)
    region = f"22:{middle}-{middle + sites // 10}"  # 1 % of the sites
    under_way: dict[str, Any] = {}

    def counted(kind: RequestKind, n: int) -> object:
        asked = [f"22:{position(next(alleles) % sites)}:A:G" for _ in range(n)]
        return gate.counts(rita, kind=kind, alleles=asked, project="asked", dataset="cohort")

    def ticket() -> None:
        asked = StreamAsked("asked", "cohort", regions=(region,), kind=StreamFormat.VCF)
        under_way["ticket"] = gate.stream_ticket(rita, asked, accessor=who.accessor)[0].reveal().decode()

    def first() -> None:
        under_way["body"] = gate.stream_body(service, under_way["ticket"])
        next(under_way["body"])

    def rest() -> None:
        for _ in under_way["body"]:
            pass
        under_way["body"].close()

    def nothing() -> None:
        pass

    yield "presence of a new allele", lambda: counted(RequestKind.PRESENCE, 1), nothing
    yield "counts of five new alleles", lambda: counted(RequestKind.COUNTS, 5), nothing
    match = partial(gate.match, rita, project="asked", dataset="cohort", panel="pgx", criteria="asked@1")
    yield "matching, 100 criteria", match, nothing
    pack = partial(gate.match_counts, rita, project="asked", dataset="cohort", panel="pgx", criteria="asked@1")
    yield "numbers of a pack, asked before", pack, nothing
    yield "a view of 1 % of the sites", lambda: gate.view(rita, regions=(region,), project="asked", dataset="cohort"), nothing
    yield "htsget: ticket", ticket, nothing
    yield "htsget: header", lambda: gate.stream_header(service, under_way["ticket"]), nothing
    yield "htsget: first byte, 1 % of the sites", first, rest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2_504)
    parser.add_argument("--sites", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        token = made(folder, given.people, given.sites)
        with closing(open_vault(folder / "v", factor=SERVICE, principal="service")) as service:
            taken = measured(service, list(questions(service, token, given.sites)), given.rounds)
        for name, (kept, anew) in taken.items():
            (wall, used), (before, processor) = _medians(kept), _medians(anew)
            print(
                f"{name:38} {wall:7.1f} ms (processor {used:6.1f}), anew {before:7.1f} ms ({processor:6.1f}), ratio {used / processor:.2f}"
            )
        told("a bare durable commit of SQLite", commits(folder))
    print(f"{given.people} people; load {os.getloadavg()[0]:.1f}")


def _medians(taken: Taken) -> tuple[float, ...]:
    return tuple(statistics.median(column) for column in zip(*taken, strict=True))


def measured(
    service: UnlockedVault, asked: Sequence[tuple[str, Callable[[], object], Callable[[], None]]], rounds: int
) -> dict[str, tuple[Taken, Taken]]:
    """Times of each question, with the decision kept and made anew, in turn; the first round fills caches."""
    taken: dict[str, tuple[Taken, Taken]] = {name: ([], []) for name, _, _ in asked}
    for number in range(rounds + 1):
        for name, act, after in asked:
            for anew in (True, False):
                if anew:
                    service.caches.drop(frozen_decisions.KEPT)
                begun, used = perf_counter(), process_time()
                act()
                if number:
                    taken[name][anew].append((1e3 * (perf_counter() - begun), 1e3 * (process_time() - used)))
                after()
    return taken


if __name__ == "__main__":
    main()
