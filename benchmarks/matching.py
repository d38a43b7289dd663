"""Cost of answering a criteria pack: 1,000 criteria on a panel of 1,000 loci for 50,000 people, from calls in memory.

    python -m benchmarks.matching [--people 50000] [--loci 1000] [--criteria 1000] [--times 5]

Beside it pandas, whose nullable booleans know Kleene's logic, on the same numbers of copies in plain columns; the answers are compared. Its
pack has no diplotypes, which pandas has no word for; the second pack of ours has one in five.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.criteria.packs import CriteriaPack, parse_pack
from vault.genotypes.codec.call_codes import Escapes, diploid
from vault.genotypes.sites import Sites, TextColumn
from vault.ids import Pseudonym
from vault.views.criteria_answers import answer
from vault.views.locus_states import locus_states
from vault.views.view import View

GENE_LOCI = 5

Told = tuple[NDArray[np.intp], int]
"""Matched people, and number of unknown."""


def cohort(people: int, loci: int) -> View:
    """Made-up calls: frequencies as of a panel of common variants, one call in a hundred missing."""
    draw = np.random.default_rng(15)
    table = np.array([diploid(0, 0, phased=False), diploid(0, 1, phased=False), diploid(1, 1, phased=False), 0], np.uint8)
    codes = np.empty((loci, people), np.uint8)
    for row in range(loci):
        copies = draw.binomial(2, draw.beta(0.5, 2), people)
        copies[draw.random(people) < 0.01] = 3
        codes[row] = table[copies]
    sites = Sites(
        contigs=("22",),
        contig=np.zeros(loci, np.int32),
        pos=np.arange(1_000, 1_000 + 10 * loci, 10),
        alleles=TextColumn.from_items([b"A,G"] * loci),
        ids=TextColumn.from_items([b"."] * loci),
        filters=TextColumn.from_items([b"PASS"] * loci),
        info=TextColumn.from_items([b""] * loci),
    )
    return View(tuple(Pseudonym(f"p{at}") for at in range(people)), sites, codes, Escapes.empty(), "GRCh38")


def pack(loci: int, criteria: int, *, diplotypes: bool) -> CriteriaPack:
    """Criteria of three to eight terms each, of alleles and genotypes; with ``diplotypes`` one in five is of a gene of five loci."""
    draw = np.random.default_rng(16)
    asked = list(_asked(draw, loci, criteria, diplotypes=diplotypes))
    genes = {
        f"G{at}": {
            "reference": "*1",
            "haplotypes": {f"*{n + 2}": [f"l{at * GENE_LOCI + n}"] for n in range(GENE_LOCI)}
            | {"*9": [f"l{at * GENE_LOCI}", f"l{at * GENE_LOCI + 1}"]},
        }
        for at in range(loci // GENE_LOCI)
    }
    document: dict[str, Any] = {
        "name": "bench",
        "version": 1,
        "source": "made up",
        "panel": "bench",
        "assembly": "GRCh38",
        "loci": {f"l{at}": f"22:{1_000 + 10 * at}:A:G" for at in range(loci)},
        "genes": genes if diplotypes else {},
        "criteria": [{"id": f"c{at}", "title": "C", "expression": one} for at, one in enumerate(asked)],
    }
    return parse_pack(document)


def _asked(draw: np.random.Generator, loci: int, criteria: int, *, diplotypes: bool) -> Iterator[dict[str, Any]]:
    for at in range(criteria):
        if diplotypes and at % 5 == 0:
            names = [f"*{n}" for n in sorted(draw.choice([2, 3, 4, 5, 6, 9], 3, replace=False).tolist())]
            yield {"diplotype": f"G{at // 5 % (loci // GENE_LOCI)}", "both": names}
            continue
        terms: list[dict[str, Any]] = []
        for locus in draw.choice(loci, draw.integers(3, 9), replace=False).tolist():
            kind = draw.integers(3)
            term: dict[str, Any] = {"carries": f"l{locus}"} if kind else {"genotype": f"l{locus}", "is": ["hom"]}
            terms.append({"not": term} if kind == 2 else term)
        yield {"or": [{"and": terms[:2]}, *terms[2:]]}


def ours(view: View, asked: CriteriaPack) -> list[Told]:
    """Matched people and number of unknown of each criterion."""
    states = locus_states(view, asked.loci)
    return [(one.matched, one.unknown) for one in answer(asked, states, len(view.pseudonyms))]


def peer(columns: Any, asked: CriteriaPack) -> list[Told]:
    """The same by pandas, from nullable numbers of copies."""
    from policies.criteria.expressions import AllOf, AnyOf, Carries, GenotypeIn, NotThat

    def told(term: Any) -> Any:
        match term:
            case Carries(locus):
                return columns[locus] > 0
            case GenotypeIn(locus, _):
                return columns[locus] == 2
            case NotThat(inner):
                return ~told(inner)
            case AllOf(terms) | AnyOf(terms):
                found = told(terms[0])
                for one in terms[1:]:
                    found = found & told(one) if isinstance(term, AllOf) else found | told(one)
                return found
        raise AssertionError(term)

    found = []
    for criterion in asked.criteria:
        said = told(criterion.expression)
        found.append((np.flatnonzero(said.fillna(False).to_numpy(bool)), int(said.isna().sum())))
    return found


def plain(view: View) -> Any:
    """Columns of nullable numbers of copies."""
    import pandas as pd

    genotypes = view.genotypes
    missing = (genotypes < 0).any(axis=2)
    copies = (genotypes == 1).sum(axis=2).astype(np.int8)
    return {f"l{at}": pd.Series(pd.arrays.IntegerArray(copies[at].copy(), missing[at].copy())) for at in range(len(copies))}


def seconds(act: Callable[[], object], times: int) -> float:
    """Median of a call, by the wall."""
    found = []
    for _ in range(times):
        gc.collect()
        begun = perf_counter()
        act()
        found.append(perf_counter() - begun)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("people", 50_000), ("loci", 1_000), ("criteria", 1_000), ("times", 5)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()
    view = cohort(options.people, options.loci)
    without, mixed = (pack(options.loci, options.criteria, diplotypes=also) for also in (False, True))
    states = locus_states(view, mixed.loci)
    print(f"{options.criteria} criteria, {options.loci} loci, {options.people} people")
    print(f"genovault, alleles and genotypes       {seconds(lambda: ours(view, without), options.times):.2f} s")
    print(f"genovault, one in five a diplotype     {seconds(lambda: ours(view, mixed), options.times):.2f} s")
    print(f"  of it calls to states                {seconds(lambda: locus_states(view, mixed.loci), options.times):.2f} s")
    print(f"  and answers                          {seconds(lambda: answer(mixed, states, options.people), options.times):.2f} s")
    try:
        columns = plain(view)
    except ImportError:
        print("pandas is not installed")
        return
    for mine, theirs in zip(ours(view, without), peer(columns, without), strict=True):
        assert mine[1] == theirs[1]
        assert np.array_equal(mine[0], theirs[0])
    print(f"pandas, alleles and genotypes          {seconds(lambda: peer(columns, without), options.times):.2f} s")


if __name__ == "__main__":
    main()
