"""An example matching engine: panel view -> diplotype, phenotype, recommendation for each pseudonym.

    python examples/matching_engine/engine.py --vault v --project demo --dataset cohort --panel pgx

It is a program beside the vault: it knows pseudonyms and genotypes at the panel's loci, and nothing else about anybody. With
``--criteria pgx-findings@1`` it asks that criteria pack in place, and knows who has a finding and no genotype.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from alleles import Gene, load_genes
from observe import Panel, observe
from pgx import DISCLAIMER, Call, GeneCall, call_gene

if TYPE_CHECKING:
    from vault.gate.matching import MatchAnswer
    from vault.views.view import View


@dataclass(frozen=True)
class Match:
    """Gene call and drug recommendations of one person at one gene."""

    pseudonym: str
    call: GeneCall

    @property
    def finding(self) -> bool:
        """Something other than "usual dose": a phenotype that differs from normal, or no answer."""
        return not self.call.phenotype.startswith("Normal")


def run(view: View, genes: Mapping[str, Gene] | None = None) -> list[Match]:
    """Matches of every person and gene of a panel view (``vault``'s ``View``), in the view's order of people, then of genes.

    Each distinct row of genotypes is called once, so that the work grows with the number of patterns and not of people.
    """
    genes = load_genes() if genes is None else genes
    panel = Panel.from_view(view)
    per_gene = [_call_people(panel, gene) for gene in genes.values()]
    return [Match(str(name), calls[i]) for i, name in enumerate(view.pseudonyms) for calls in per_gene]


def _call_people(panel: Panel, gene: Gene) -> list[GeneCall]:
    shown = observe(panel, gene)
    flat = shown.reshape(len(shown), -1)
    patterns, which = np.unique(flat, axis=0, return_inverse=True)
    called = [
        call_gene(gene, [Call(first, second, bool(phased), bool(proxy)) for first, second, phased, proxy in pattern])
        for pattern in patterns.reshape(-1, len(gene.loci), 4).tolist()
    ]
    return [called[i] for i in which.reshape(-1).tolist()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the vault, take one panel view, print the matches. Exit code 0, or 1 where the vault refuses."""
    options = _options().parse_args(arguments)
    import vault  # noqa: PLC0415 - --help answers without it

    passphrase = os.environ.get("GENOVAULT_PASSPHRASE")
    if options.passphrase_file:
        passphrase = options.passphrase_file.read_text(encoding="utf-8").rstrip("\n")
    key_file: Path | None = options.key_file
    if key_file is not None:
        passphrase = None
    try:
        with vault.open(options.vault, principal=options.principal, passphrase=passphrase, key_file=key_file) as opened:
            where = {"project": options.project, "dataset": options.dataset, "panel": options.panel}
            if options.criteria:
                answer = opened.match(**where, criteria=options.criteria)
                print(json.dumps(answer.as_dict(), indent=1) if options.json else findings(answer))
                return 0
            view = opened.view(**where)
    except vault.GenovaultError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1
    matches = run(view)
    print(document(view, matches) if options.json else report(view, matches, everything=options.all))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"Match a panel view to medicines. {DISCLAIMER}")
    parser.add_argument("--vault", default=os.environ.get("GENOVAULT_HOME"), required="GENOVAULT_HOME" not in os.environ)
    parser.add_argument("--project", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--panel", required=True)
    parser.add_argument("--criteria", metavar="PACK@V", help="ask this approved pack in place instead of looking at genotypes")
    parser.add_argument("--principal", default=os.environ.get("GENOVAULT_PRINCIPAL"))
    parser.add_argument("--key-file", type=Path, help="key of the engine's slot")
    parser.add_argument("--passphrase-file", type=Path, help="default: the environment variable GENOVAULT_PASSPHRASE")
    parser.add_argument("--all", action="store_true", help="list normal results too")
    parser.add_argument("--json", action="store_true")
    return parser


def findings(answer: MatchAnswer) -> str:
    """Whom each criterion of a pack holds for."""
    lines = []
    for one in answer.criteria:
        lines += [f"{one.id}: {len(one.matched)} people; unknown of {one.unknown_band}", *(f"  {name}" for name in one.matched)]
    told = f"this tells {answer.bits['view']:.1f} bits of somebody at most, and {answer.bits['cumulative']:.1f} have left in all"
    return "\n".join([*lines, told, DISCLAIMER])


def document(view: View, matches: Sequence[Match]) -> str:
    """Every match as JSON."""
    rows = [{"pseudonym": match.pseudonym, **asdict(match.call)} for match in matches]
    return json.dumps({"disclaimer": DISCLAIMER, "people": len(view.pseudonyms), "matches": rows}, indent=1)


def report(view: View, matches: Sequence[Match], *, everything: bool) -> str:
    """A table of the findings (of every match with ``everything``) and counts by gene."""
    shown = [match for match in matches if everything or match.finding]
    rows = [("pseudonym", "gene", "diplotype", "phenotype", "what follows")]
    for match in shown:
        call = match.call
        advice = f"{call.drug}: {call.recommendation}" if call.recommendation else call.note
        rows.append((match.pseudonym, call.gene, call.diplotype or "-", call.phenotype, advice))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows]
    counts = Counter((match.call.gene, match.call.phenotype) for match in matches)
    lines += ["", f"{len(view.pseudonyms)} people"]
    for gene in dict.fromkeys(gene for gene, _ in counts):
        of_gene = sorted(((n, phenotype) for (name, phenotype), n in counts.items() if name == gene), reverse=True)
        lines.append(f"  {gene}: " + ", ".join(f"{phenotype} {n}" for n, phenotype in of_gene))
    return "\n".join([*lines, DISCLAIMER])


if __name__ == "__main__":
    sys.exit(main())
