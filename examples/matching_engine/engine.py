"""An example matching engine: panel view -> diplotype, phenotype, recommendation for each pseudonym.

    python examples/matching_engine/engine.py --url https://vault.example:8420 --token-file token --project demo --dataset cohort --panel pgx
    python examples/matching_engine/engine.py --vault v --project demo --dataset cohort --panel pgx

Behind a server it holds a token and no key; beside the vault, a slot. Either way it knows pseudonyms and genotypes at the panel's loci, and nothing
else about anybody. With ``--criteria pgx-findings@1`` it asks that criteria pack in place, and knows who has a finding and no genotype. With
``--follow`` it stays, behind a server, and drops whoever withdraws.
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
    from vault.client.panel_genotypes import PanelGenotypes
    from vault.client.served_vault import ServedPanel
    from vault.client.server_answers import ServedMatch
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


def run(view: View | PanelGenotypes, genes: Mapping[str, Gene] | None = None) -> list[Match]:
    """Matches of every person and gene of a panel view (``vault``'s ``View``, or a server's answer), in the view's order of people, then of genes.

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
    """Take one panel view, print the matches, follow what changes. Exit code 0, or 1 where the vault refuses."""
    parser = _options()
    options = parser.parse_args(arguments)
    if not (options.url or options.unix or options.vault):
        parser.error("give --url, --unix or --vault")
    import vault  # noqa: PLC0415 - --help answers without it

    try:
        return _served(options) if options.url or options.unix else _embedded(options)
    except vault.GenovaultError as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1


def _embedded(options: argparse.Namespace) -> int:
    """Beside the vault: with a slot of its own."""
    import vault  # noqa: PLC0415 - as in main

    passphrase = os.environ.get("GENOVAULT_PASSPHRASE")
    if options.passphrase_file:
        passphrase = options.passphrase_file.read_text(encoding="utf-8").rstrip("\n")
    key_file: Path | None = options.key_file
    if key_file is not None:
        passphrase = None
    with vault.open(options.vault, principal=options.principal, passphrase=passphrase, key_file=key_file) as opened:
        where = {"project": options.project, "dataset": options.dataset, "panel": options.panel}
        if options.criteria:
            answer = opened.match(**where, criteria=options.criteria)
            print(json.dumps(answer.as_dict(), indent=1) if options.json else findings(answer))
            return 0
        view = opened.view(**where)
    _print(view, options)
    return 0


def _served(options: argparse.Namespace) -> int:
    """Behind a server: with a token."""
    import vault  # noqa: PLC0415 - as in main

    token = options.token_file.read_text(encoding="utf-8") if options.token_file else os.environ.get("GENOVAULT_TOKEN", "")
    url = options.url or "http://localhost"
    with vault.connect(url, token=token, unix=options.unix, certificate=options.certificate) as served:
        panel = served.panel(options.project, dataset=options.dataset, name=options.panel)
        if options.criteria:
            answer = panel.match(options.criteria)
            print(json.dumps(asdict(answer), indent=1) if options.json else findings(answer))
        elif options.follow is None:
            _print(panel.genotypes(), options)
        else:
            follow(panel, options)
    return 0


def follow(panel: ServedPanel, options: argparse.Namespace) -> None:
    """Hold what the vault permits: print the matches, then each change as it is told, ``options.follow`` times (0: for ever)."""
    mirror = panel.follow()
    _print(mirror.genotypes(), options)
    print(f"holding {len(mirror.rows)} people; waiting for changes", flush=True)
    for number, change in enumerate(mirror, 1):
        for name in change.dropped:
            print(f"dropped {name}")
        if change.added:
            print(report(mirror.genotypes(change.added), run(mirror.genotypes(change.added)), everything=options.all))
        print(f"holding {len(mirror.rows)} people", flush=True)
        if number == options.follow:
            return


def _print(view: View | PanelGenotypes, options: argparse.Namespace) -> None:
    matches = run(view)
    print(document(view, matches) if options.json else report(view, matches, everything=options.all), flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"Match a panel view to medicines. {DISCLAIMER}")
    parser.add_argument("--url", help="server to ask: https://HOST:PORT, or http:// on this machine")
    parser.add_argument("--unix", type=Path, help="server's Unix socket, in place of --url")
    parser.add_argument(
        "--token-file", type=Path, help="access token for the server; default: the environment variable GENOVAULT_TOKEN"
    )
    parser.add_argument("--certificate", type=Path, help="what the server's certificate is signed by, PEM")
    parser.add_argument(
        "--follow", type=int, nargs="?", const=0, metavar="N", help="stay and print N changes, or all; of a server"
    )
    parser.add_argument("--vault", default=os.environ.get("GENOVAULT_HOME"), help="without a server: the vault's folder")
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


def findings(answer: MatchAnswer | ServedMatch) -> str:
    """People for whom each criterion of a pack holds."""
    lines = []
    for one in answer.criteria:
        lines += [f"{one.id}: {len(one.matched)} people; unknown of {one.unknown_band}", *(f"  {name}" for name in one.matched)]
    told = f"this tells {answer.bits['view']:.1f} bits of somebody at most, and {answer.bits['cumulative']:.1f} have left in all"
    return "\n".join([*lines, told, DISCLAIMER])


def document(view: View | PanelGenotypes, matches: Sequence[Match]) -> str:
    """Every match as JSON."""
    rows = [{"pseudonym": match.pseudonym, **asdict(match.call)} for match in matches]
    return json.dumps({"disclaimer": DISCLAIMER, "people": len(view.pseudonyms), "matches": rows}, indent=1)


def report(view: View | PanelGenotypes, matches: Sequence[Match], *, everything: bool) -> str:
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
