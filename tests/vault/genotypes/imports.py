"""Imports under test: a small file, the calls that a dataset holds, and refusals that leave no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.held import Held
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import projects
from vault.errors import GenovaultError, InputError

TWO = vcf("A B", "22 100 A G 0|1 ./.", "22 200 C T,G 1|2 0|0")


COMPARED = ("sample_swap", "calls_differ", "replace_narrower")
"""Refusals by what people have already: their calls were opened, so the log has named them before."""


def refused(held: Held, code: str, *files: Path, **options: object) -> InputError:
    """The error of an import that must be refused, and must leave nothing but one failed entry, and the intent that it closes."""
    before, size = held.traces(), held.vault.trail.log.size()
    with pytest.raises(GenovaultError) as caught:
        held.load(*files, **options)
    assert caught.value.code == code, caught.value
    assert held.traces() == before
    *opened, entry = held.entries(size)
    assert [(e["act"], e["outcome"]) for e in opened] == [("dataset.import", "intent")] * (code in COMPARED)
    assert [e["id"] for e in opened] == ([entry["refers"]] if code in COMPARED else [])
    assert (entry["act"], entry["outcome"], entry["reasons"]) == ("dataset.import", "failed", {code: 1})
    assert held.verified().ok
    assert held.verified().open_intents == ()
    return caught.value


def calls(held: Held, dataset: str = "cohort", code: str = "demo") -> dict[tuple[str, int, str, str], list[list[int]]]:
    """Sample name → (contig, position, alleles) → alleles of the call, for everyone, through the door."""
    held.everyone_consents()
    if code not in {project.code for project in projects.list_all(held.vault)}:
        held.project(code, dataset)
    view = gate.view(held.vault, project=code, dataset=dataset)
    names = held.names(code)
    found = {}
    for column, pseudonym in enumerate(view.pseudonyms):
        for row in range(len(view.sites)):
            key = (view.sites.contigs[view.sites.contig[row]], int(view.sites.pos[row]), view.sites.alleles[row].decode())
            found[(names[pseudonym], *key)] = view.genotypes[row, column].tolist()
    return found
